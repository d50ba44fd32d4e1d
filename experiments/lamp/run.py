"""Retrieval of past choices for a judge, on people and on invented authors; LaMP; a distilled retriever.

python experiments/lamp/run.py --data-dir FOLDER     everything
python experiments/lamp/run.py --only lamp            one part: llmfao, lamp or distilled
python experiments/lamp/run.py --tables               tables from the committed results

Rows that are in results/ are not measured again; delete a file to measure afresh.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import tomllib
from pathlib import Path

from framed import framed_users
from tables import tables

from reward_models.dense_retrieval import DistilledEncoder, FrozenEncoder, Lesson
from synthesizeme.backends import Session, open_model
from synthesizeme.datasets.lamp import TASKS, load_lamp, write_planted
from synthesizeme.evaluation.benchmarks import load_benchmark
from synthesizeme.evaluation.harness import evaluate
from synthesizeme.evaluation.intervals import accuracy_interval, paired_difference
from synthesizeme.induction.one_user import InductionSettings
from synthesizeme.judges import LLMJudge, RetrievalJudge, demonstration_utilities
from synthesizeme.judges.by_name import Scorers
from synthesizeme.judges.names import RetrievalSettings
from synthesizeme.lamp import LampRun, rank_profiles, write_ranking
from synthesizeme.retrieval import open_retriever

HERE = Path(__file__).parent
RESULTS = HERE / "results"


def written(name, results):
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")


def interval(found):
    return [found.value, found.low, found.high]


class Rows:
    """The rows of one part, written as they come: the same command goes on where it stopped."""

    def __init__(self, part):
        self.part = part
        path = RESULTS / f"{part}.json"
        self.found = json.loads(path.read_text()) if path.is_file() else {}

    def add(self, benchmark, name, k, make):
        rows = self.found.setdefault(benchmark, [])
        if any((row["name"], row["k"]) == (name, k) for row in rows):
            return
        row = {"name": name, "k": k, **make()}
        rows.append(row)
        rows.sort(key=lambda it: it["k"])
        written(self.part, self.found)
        print(benchmark, row, flush=True)


# People: LLMFAO.


def on_people(config, session, data_dir):
    rows, frozen = Rows("llmfao"), FrozenEncoder()
    settings = InductionSettings(seed=config["seed"])
    for more in ("", "+persona"):
        for name in config["llmfao"]["with_persona" if more else "benchmarks"]:
            benchmark = load_benchmark(name, data_dir)
            scorers = Scorers(benchmark, settings, session=session)
            for plain in ("persona",) if more else ("default", "memory"):
                rows.add(name, plain, 0, lambda it=plain, at=scorers: people_row(at, it))
            for k in config["shown"]:
                at = scorers.with_retrieval(RetrievalSettings(k=k, open_encoder=lambda: frozen))
                for retriever in config["retrievers"]:
                    it = f"retrieval-{retriever}{more}"
                    rows.add(name, it, k, lambda it=it, at=at: people_row(at, it))


def people_row(scorers, name):
    outcome, usage = scorers.measured(name)
    row = {
        "accuracy": interval(accuracy_interval(outcome)),
        "tokens_per_question": usage.prompt_tokens / max(usage.distinct_calls, 1),
    }
    if name != "default":
        row["gain"] = interval(paired_difference(outcome, scorers.outcome("default")))
        row["controls"] = {
            knowledge: scorers.control(name, knowledge).micro
            for knowledge in ("wrong_user", "swapped_labels")
        }
    return row


# Invented authors in LaMP's format.


def on_authors(config, session):
    rows, frozen, sizes = Rows("lamp"), FrozenEncoder(), config["lamp"]
    with tempfile.TemporaryDirectory() as folder:
        for number in TASKS:
            write_planted(
                Path(folder),
                number,
                users=sizes["users"],
                items=sizes["items"],
                questions=sizes["questions"],
                seed=config["seed"],
            )
        tasks = {number: load_lamp(f"lamp/{number}", data_dir=folder) for number in TASKS}
    best = rank_profiles(tasks[4], open_retriever("bm25"), k=4)
    write_ranking(RESULTS / "ranking-lamp-4-bm25.json", best)
    for more in ("", "+persona"):
        for k in (0, *config["shown"]):
            for number in sizes["with_persona"] if more else TASKS:
                settings = RetrievalSettings(k=max(k, 1), open_encoder=lambda: frozen)
                run = LampRun(tasks[number], session=session, retrieval=settings)
                for name in author_names(config, tasks[number], k, more):
                    rows.add(run.data.name, name, k, lambda it=name, at=run: author_row(at, it))


def author_names(config, data, k, more):
    """Who answers: without retrieval at k = 0; judges on tasks with labels at few k, votes at every one."""
    if k == 0:
        return ["persona"] if more else ["default"]
    labelled = data.task.kind in ("label", "score")
    judges = k in config["lamp"]["label_tasks_shown"] if labelled else True
    names = [f"retrieval-{name}{more}" for name in config["retrievers"]] if judges else []
    return names + ([f"vote-{name}" for name in config["retrievers"]] if labelled and not more else [])


def author_row(run, name):
    (row,) = run.report([name], controls=True).rows
    return {**row.model_dump(exclude={"usage", "name"}), "tokens_per_question": row.tokens_per_question}


# The distilled retriever: taught by some users, used for others.


def distilled(config, session, data_dir):
    results = {"framed": [], "llmfao": []}
    for seed in config["distilled"]["seeds"]:
        by_user = framed_users(
            config["distilled"]["users"], config["distilled"]["items"], config["distilled"]["questions"], seed
        )
        users = list(by_user)
        taught, new = users[: len(users) // 2], users[len(users) // 2 :]
        history = {user: [it for it in by_user[user] if it.split == "train"] for user in users}
        test = [it for user in new for it in by_user[user] if it.split == "test"]
        results["framed"].append(
            taught_and_new(
                config, session, {u: history[u] for u in taught}, {u: history[u] for u in new}, test, seed
            )
        )
        written("distilled", results)
    if data_dir is None:
        return
    fold = load_benchmark("llmfao/seen-prompts", data_dir).folds[0]
    users = sorted(fold.histories)
    for seed in config["distilled"]["seeds"]:
        taught = users[seed % 2 :: 2]
        known = {user: fold.histories[user] for user in taught}
        new = {user: pairs for user, pairs in fold.histories.items() if user not in known}
        test = [it for it in fold.test if it.user_id in new]
        results["llmfao"].append(taught_and_new(config, session, known, new, test, seed))
        written("distilled", results)
        if seed >= 1:
            break


def taught_and_new(config, session, taught, new, test, seed):
    """Accuracy on users whose pairs taught nothing, by retriever and k, and what the lessons were."""
    sizes = config["distilled"]
    ledger = session.ledger()
    useful = demonstration_utilities(
        ledger, taught, most_asked=sizes["asked"], most_shown=sizes["shown"], seed=seed
    )
    lessons = [
        Lesson(it.asked.prompt[-1].content, tuple(pair.prompt[-1].content for pair in it.shown), it.utilities)
        for it in useful
    ]
    encoder = DistilledEncoder(seed=seed).fit(lessons)
    found = {
        "seed": seed, "lessons": len(lessons), "that_teach": sum(it.teaches for it in lessons),
        "questions_to_the_judge": ledger.usage.distinct_calls, "epochs_kept": encoder.epochs_kept,
        "new_users": len(new), "test_pairs": len(test), "rows": [],
    }  # fmt: skip
    base = evaluate(LLMJudge(session.ledger()), test)
    retrievers = {
        **{name: open_retriever(name, seed=seed) for name in ("random", "bm25")},
        "dense": open_retriever("dense", encode=FrozenEncoder()),
        "distilled": open_retriever("dense", encode=encoder),
    }
    for k in sizes["k"]:
        outcomes = {
            name: evaluate(RetrievalJudge(session.ledger(), new, it.retrieve, k=k, seed=seed), test)
            for name, it in retrievers.items()
        }
        for name, outcome in outcomes.items():
            found["rows"].append({
                "name": name, "k": k, "accuracy": interval(accuracy_interval(outcome)), "default": base.micro,
                "minus_dense": interval(paired_difference(outcome, outcomes["dense"])),
                "minus_bm25": interval(paired_difference(outcome, outcomes["bm25"])),
            })  # fmt: skip
    print("distilled", json.dumps(found), flush=True)
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir")
    parser.add_argument("--only", choices=["llmfao", "lamp", "distilled"])
    parser.add_argument("--tables", action="store_true")
    chosen = parser.parse_args()
    config = tomllib.loads((HERE / "config.toml").read_text())
    if not chosen.tables:
        with Session(open_model(config["model"])) as session:
            if chosen.only in (None, "llmfao") and chosen.data_dir:
                on_people(config, session, chosen.data_dir)
            if chosen.only in (None, "lamp"):
                on_authors(config, session)
            if chosen.only in (None, "distilled"):
                distilled(config, session, chosen.data_dir)
    (RESULTS / "tables.md").write_text(tables(RESULTS))


if __name__ == "__main__":
    main()
