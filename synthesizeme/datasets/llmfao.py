"""LLMFAO: crowd workers compare answers of large language models to thirteen prompts.

*Large Language Model Feedback Analysis and Optimization* (dustalov/llmfao, Dmitry Ustalov), answers collected
by llmonitor.com, CC BY 4.0. A row of ``crowd-comparisons.csv``, which points into ``pairs-crowd.jsonl.gz``::

    id,prompt,model_x,model_y,worker,winner,left,right
    1,8,29,98,90,right,Alpaca (7B),Weaver 12k

The worker saw `result_x` on the left. Empty answers, identical answers and a worker's second judgement of the
same two texts say nothing. The split of the pairs is 60/20/20 at random within each worker; the prompts are
dealt into four folds for testing on unseen prompts. Ties come after the pairs and have no split;
``llmfao.jsonl.gz`` has none, and `feedback` reads those of the raw files beside it.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from synthesizeme.datasets import jsonl
from synthesizeme.datasets._base import Format, locate
from synthesizeme.datasets.rows.containers import rows_of
from synthesizeme.datasets.rows.feedback import mapped_feedback
from synthesizeme.datasets.rows.pairs import BLANK, SAME_TEXT, mapped_pair
from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import Origin, ReadReport, SourceRow
from synthesizeme.errors import DataError
from synthesizeme.feedback import Given, Judgement, Tie
from synthesizeme.pairs import split_at
from synthesizeme.plain_text import short_repr
from synthesizeme.types import PreferencePair, Split

COMPARISONS, ANSWERS = "crowd-comparisons.csv", "pairs-crowd.jsonl.gz"
JUDGES = {"gpt3": "gpt3-crowd-comparisons.csv", "gpt4": "gpt4-crowd-comparisons.csv"}

FOLDS = 4
"""Groups of prompts."""


def recognises(row: Row) -> bool:
    """Whether a row is a worker's comparison."""
    return set(row) >= {"id", "worker", "winner", "left", "right"}


def _read(source: Origin, report: ReadReport) -> Iterator[Given]:
    """The pairs of ``llmfao.jsonl.gz`` or of the raw files, or of a folder that holds either."""
    if isinstance(source, Path) and source.name == COMPARISONS:
        return _from_raw(source, report)
    return jsonl.FORMAT.read(source, report)


def _ties(source: Path) -> list[Judgement]:
    """The ties of the raw files, in the folder, beside the file that is named, or in a folder beside it.

    Raises:
        DataError: the raw files are not there, or cannot be read.
    """
    folder = source if source.is_dir() else source.parent
    raw = locate(folder, FORMAT.files[1:])
    if raw is None:
        cure = f"fetch {', '.join((COMPARISONS, ANSWERS))} of {FORMAT.sources[0]} and put them beside it"
        raise DataError("the ties are in the raw files, which are not here", source=str(source), cure=cure)
    return [said for said in _from_raw(raw, ReadReport()) if not isinstance(said, PreferencePair)]


def _from_raw(path: Path, report: ReadReport) -> Iterator[Given]:
    """The pairs and then the ties of the comparisons, users in order; the answers lie beside the file."""
    answers = _rows_by_id(path.with_name(ANSWERS))
    beside = {judge: path.with_name(name) for judge, name in JUDGES.items()}
    verdicts = {judge: _rows_by_id(table) for judge, table in beside.items() if table.exists()}
    slugs = sorted({row["slug"] for row in answers.values()})
    random.Random(7).shuffle(slugs)
    folds = {slug: position % FOLDS for position, slug in enumerate(slugs)}
    votes: dict[bool, dict[str, list[SourceRow]]] = {False: defaultdict(list), True: defaultdict(list)}
    for user_id, place in _votes(path, answers, report):
        votes[place.row["winner"] == "tie"][user_id].append(place)

    def told(place: SourceRow) -> _Vote:
        row, answer = place.row, answers[place.row["id"]]
        judged = {judge: rows[row["id"]]["winner"] for judge, rows in verdicts.items() if row["id"] in rows}
        return _vote(row, answer, judged, folds[answer["slug"]])

    number = 0
    for user_id, places in sorted(votes[False].items()):
        for place, split in zip(places, _splits(user_id, len(places)), strict=True):
            vote = told(place)
            models = {f"{side}_model": name for side, name in vote.models.items()}
            pair = mapped_pair(
                place, report, pair_id=f"llmfao-{number:05d}", user_id=user_id, split=split, **vote.texts,
                prompt=vote.prompt, metadata={**vote.about, **models, "shown_first": next(iter(vote.texts))},
            )  # fmt: skip
            number += 1
            yield from [pair] if pair else []
    tied = [(user_id, place) for user_id, places in sorted(votes[True].items()) for place in places]
    for number, (user_id, place) in enumerate(tied):
        vote = told(place)
        tie = mapped_feedback(
            place, report, Tie, feedback_id=f"llmfao-tie-{number:05d}", user_id=user_id, prompt=vote.prompt,
            responses=[*vote.texts.values()], metadata={**vote.about, "models": [*vote.models.values()]},
        )  # fmt: skip
        yield from [tie] if tie else []


def _rows_by_id(path: Path) -> dict[str, Row]:
    return {str(place.row.get("id")): place.row for place in rows_of(path, ReadReport())}


def _votes(path: Path, answers: Mapping[str, Row], report: ReadReport) -> Iterator[tuple[str, SourceRow]]:
    """The votes that say something, each with its user, in file order; the others go to the report."""
    seen: set[tuple[bool, str, frozenset[str]]] = set()
    for place in rows_of(path, report):
        row = place.row
        if problem := _problem(row, answers):
            cure = "fetch the public files again, or --skip-bad-rows"
            report.reject(place.error(problem[1], field=problem[0], cure=cure))
            continue
        texts = [answers[row["id"]][side].strip() for side in ("result_x", "result_y")]
        user_id = f"llmfao_w{row['worker']}"
        judged = row["winner"] == "tie", user_id, frozenset(texts)
        if not all(texts):
            report.leave_out(place, BLANK)
        elif texts[0] == texts[1]:
            report.leave_out(place, SAME_TEXT)
        elif judged in seen:
            report.leave_out(place, "second judgement of the same two texts by the same worker")
        else:
            seen.add(judged)
            yield user_id, place


def _problem(row: Row, answers: Mapping[str, Row]) -> tuple[str, str] | None:
    """Field and sentence of what is wrong with a vote, if anything is."""
    if not {"id", "worker", "winner", "left", "right"} <= set(row):
        return "winner", f"expected columns id, worker, winner, left, right; found {short_repr(list(row))}"
    if row["winner"] not in ("left", "right", "tie"):
        return "winner", f"found {short_repr(row['winner'])}; expected left, right or tie"
    if row["id"] not in answers:
        return "id", f"found {short_repr(row['id'])}, which {ANSWERS} does not have"
    return None


def _splits(user_id: str, n: int) -> list[Split]:
    """Split of each of a user's pairs, in order."""
    indices = list(range(n))
    random.Random(f"split{user_id}").shuffle(indices)
    ranks = {index: rank for rank, index in enumerate(indices)}
    return [split_at(ranks[index] + 0.5, n) for index in range(n)]


class _Vote(NamedTuple):
    """A vote, its sides as they were shown: chosen and rejected, of a tie first and second."""

    prompt: str
    texts: dict[str, str]
    models: dict[str, str]
    about: Row


def _vote(row: Row, answer: Row, judged: Mapping[str, str], fold: int) -> _Vote:
    sides = {"left": ("chosen", "rejected"), "right": ("rejected", "chosen"), "tie": ("first", "second")}
    left, right = sides[row["winner"]]
    named = {"left": left, "right": right}
    return _Vote(
        prompt=answer["text"],
        texts={left: answer["result_x"], right: answer["result_y"]},
        models={left: row["left"], right: row["right"]},
        about={
            "prompt_slug": answer["slug"],
            "comparison_id": f"llmfao_pair{row['id']}",
            "llm_judge": {judge: named.get(winner, winner) for judge, winner in judged.items()},
            "prompt_fold": fold,
        },
    )


FORMAT = Format(
    "crowd workers' votes on real model answers, with GPT-4's and GPT-3.5's verdicts beside them",
    recognises,
    _read,
    sources=("dustalov/llmfao",),
    files=("llmfao.jsonl.gz", *(f"{folder}{COMPARISONS}" for folder in ("llmfao_raw/", "llmfao/", ""))),
    download=(COMPARISONS, ANSWERS, *JUDGES.values()),
    feedback=_ties,
)
