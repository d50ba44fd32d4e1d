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
from typing import Any

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
    raw = locate(folder, FILES[1:])
    if raw is None:
        cure = f"fetch {', '.join((COMPARISONS, ANSWERS))} of {SOURCES[0]} and put them beside it"
        raise DataError("the ties are in the raw files, which are not here", source=str(source), cure=cure)
    return [said for said in _from_raw(raw, ReadReport()) if not isinstance(said, PreferencePair)]


def _from_raw(path: Path, report: ReadReport) -> Iterator[Given]:
    folder = path.parent
    answers = {str(place.row.get("id")): place.row for place in rows_of(folder / ANSWERS, ReadReport())}
    verdicts = {
        judge: {
            place.row.get("id"): place.row.get("winner") for place in rows_of(folder / name, ReadReport())
        }
        for judge, name in JUDGES.items()
        if (folder / name).exists()
    }
    slugs = sorted({row["slug"] for row in answers.values()})
    random.Random(7).shuffle(slugs)
    folds = {slug: position % FOLDS for position, slug in enumerate(slugs)}
    number = 0
    chosen, tied = _votes(path, answers, report)
    for user_id, votes in sorted(chosen.items()):
        for place, split in zip(votes, _splits(user_id, len(votes)), strict=True):
            fields = _fields(place.row, answers[place.row["id"]], verdicts, folds)
            pair_id = f"llmfao-{number:05d}"
            if pair := mapped_pair(place, report, pair_id=pair_id, user_id=user_id, split=split, **fields):
                yield pair
            number += 1
    places = [(user_id, place) for user_id, votes in sorted(tied.items()) for place in votes]
    for number, (user_id, place) in enumerate(places):
        name, fields = f"llmfao-tie-{number:05d}", _tie(place.row, answers[place.row["id"]], verdicts, folds)
        if tie := mapped_feedback(place, report, Tie, feedback_id=name, user_id=user_id, **fields):
            yield tie


def _votes(
    path: Path, answers: Mapping[str, Row], report: ReadReport
) -> tuple[dict[str, list[SourceRow]], dict[str, list[SourceRow]]]:
    """The votes for a side and those for neither, by user, in file order; the others go to the report."""
    votes: dict[str, list[SourceRow]] = defaultdict(list)
    ties: dict[str, list[SourceRow]] = defaultdict(list)
    seen: set[tuple[bool, str, frozenset[str]]] = set()
    for place in rows_of(path, report):
        row = place.row
        if problem := _problem(row, answers):
            report.reject(_problem_at(place, *problem))
            continue
        texts = [answers[row["id"]][side].strip() for side in ("result_x", "result_y")]
        user_id = f"llmfao_w{row['worker']}"
        tied = row["winner"] == "tie"
        judged = tied, user_id, frozenset(texts)
        if not all(texts):
            report.leave_out(place, BLANK)
        elif texts[0] == texts[1]:
            report.leave_out(place, SAME_TEXT)
        elif judged in seen:
            report.leave_out(place, "second judgement of the same two texts by the same worker")
        else:
            seen.add(judged)
            (ties if tied else votes)[user_id].append(place)
    return votes, ties


def _problem(row: Row, answers: Mapping[str, Row]) -> tuple[str, str] | None:
    """Field and sentence of what is wrong with a vote, if anything is."""
    if not {"id", "worker", "winner", "left", "right"} <= set(row):
        return "winner", f"expected columns id, worker, winner, left, right; found {short_repr(list(row))}"
    if row["winner"] not in ("left", "right", "tie"):
        return "winner", f"found {short_repr(row['winner'])}; expected left, right or tie"
    return (
        None
        if row["id"] in answers
        else ("id", f"found {short_repr(row['id'])}, which {ANSWERS} does not have")
    )


def _problem_at(place: SourceRow, field: str, problem: str) -> DataError:
    """A malformed vote as an error."""
    return place.error(problem, field=field, cure="fetch the public files again, or --skip-bad-rows")


def _splits(user_id: str, n: int) -> list[Split]:
    """Split of each of a user's pairs, in order."""
    indices = list(range(n))
    random.Random(f"split{user_id}").shuffle(indices)
    ranks = {index: rank for rank, index in enumerate(indices)}
    return [split_at(ranks[index] + 0.5, n) for index in range(n)]


def _fields(
    vote: Row, answer: Row, verdicts: Mapping[str, Mapping[Any, Any]], folds: Mapping[str, int]
) -> dict[str, Any]:
    side = vote["winner"]
    chosen, rejected = ("x", "y") if side == "left" else ("y", "x")
    judged = {judge: winners[vote["id"]] for judge, winners in verdicts.items() if vote["id"] in winners}
    return {
        "prompt": answer["text"],
        "chosen": answer[f"result_{chosen}"],
        "rejected": answer[f"result_{rejected}"],
        "metadata": {
            "prompt_slug": answer["slug"],
            "chosen_model": vote[side],
            "rejected_model": vote["right" if side == "left" else "left"],
            "comparison_id": f"llmfao_pair{vote['id']}",
            "shown_first": "chosen" if side == "left" else "rejected",
            "llm_judge": {
                judge: "tie" if winner == "tie" else "chosen" if winner == side else "rejected"
                for judge, winner in judged.items()
            },
            "prompt_fold": folds[answer["slug"]],
        },
    }


def _tie(
    vote: Row, answer: Row, verdicts: Mapping[str, Mapping[Any, Any]], folds: Mapping[str, int]
) -> dict[str, Any]:
    judged = {judge: winners[vote["id"]] for judge, winners in verdicts.items() if vote["id"] in winners}
    return {
        "prompt": answer["text"],
        "responses": [answer["result_x"], answer["result_y"]],
        "metadata": {
            "prompt_slug": answer["slug"],
            "models": [vote["left"], vote["right"]],
            "comparison_id": f"llmfao_pair{vote['id']}",
            "llm_judge": {
                judge: {"left": "first", "right": "second"}.get(winner, winner)
                for judge, winner in judged.items()
            },
            "prompt_fold": folds[answer["slug"]],
        },
    }


SOURCES = ("dustalov/llmfao",)
FILES = ("llmfao.jsonl.gz", *(f"{folder}{COMPARISONS}" for folder in ("llmfao_raw/", "llmfao/", "")))
FORMAT = Format(
    "crowd workers' votes on real model answers, with GPT-4's and GPT-3.5's verdicts beside them",
    recognises,
    _read,
    sources=SOURCES,
    files=FILES,
    download=(COMPARISONS, ANSWERS, *JUDGES.values()),
    feedback=_ties,
)
