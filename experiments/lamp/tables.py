"""The tables of this study, from its results files."""

from __future__ import annotations

import json


def percent(value):
    return "–" if value is None else f"{100 * value:.1f}"


def span(found, sign=""):
    value, low, high = (f"{100 * it:{sign}.1f}" for it in found)
    return f"{value} [{low}, {high}]"


def table(heading, rows):
    lines = [heading, ["---", *["---:"] * (len(heading) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def people(results):
    for name, rows in results.items():
        yield f"## {name}\n"
        heading = [
            "judge",
            "k",
            "accuracy",
            "gain over default",
            "another user's",
            "labels swapped",
            "tokens a question",
        ]
        yield table(
            heading,
            [
                [
                    row["name"], row["k"] or "–", span(row["accuracy"]),
                    span(row["gain"], "+") if "gain" in row else "–",
                    *(percent(row.get("controls", {}).get(it)) for it in ("wrong_user", "swapped_labels")),
                    f"{row['tokens_per_question']:,.0f}",
                ]
                for row in rows
            ],
        )  # fmt: skip


def authors(results):
    for name, rows in results.items():
        metrics = list(rows[0]["metrics"])
        yield f"## {name}\n"
        controls = [f"{metrics[0]}, {it}" for it in ("another user's", "labels swapped")]
        heading = ["scorer", "k", *metrics, *controls, "tokens a question"]
        yield table(
            heading,
            [
                [
                    row["name"], row["k"] or "–",
                    *("{value:.3f} [{low:.3f}, {high:.3f}]".format(**row["metrics"][it]) for it in metrics),
                    *(
                        f"{row['controls'][it][metrics[0]]:.3f}" if it in row["controls"] else "–"
                        for it in ("wrong_user", "swapped_labels")
                    ),
                    "–" if row["tokens_per_question"] is None else f"{row['tokens_per_question']:,.0f}",
                ]
                for row in rows
            ],
        )  # fmt: skip


def distilled(results):
    heading = ["seed", "lessons (that teach)", "epochs kept", "retriever", "k", "accuracy", "minus dense",
               "minus bm25", "default"]  # fmt: skip
    for name, runs in results.items():
        yield f"## distilled retriever, {name}\n"
        yield table(heading, [distilled_line(run, row) for run in runs for row in run["rows"]])


def distilled_line(run, row):
    lessons = f"{run['lessons']} ({run['that_teach']})"
    differences = (span(row[f"minus_{it}"], "+") for it in ("dense", "bm25"))
    figures = (span(row["accuracy"]), *differences, percent(row["default"]))
    return [run["seed"], lessons, run["epochs_kept"], row["name"], row["k"], *figures]


def tables(folder):
    parts = []
    for name, make in (("llmfao", people), ("lamp", authors), ("distilled", distilled)):
        path = folder / f"{name}.json"
        if path.is_file():
            parts += make(json.loads(path.read_text()))
    return "\n".join(parts)
