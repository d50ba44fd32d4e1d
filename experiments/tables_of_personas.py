"""Tables of the study of personas, from its results files."""

from __future__ import annotations

import json
from pathlib import Path

RESULTS = Path(__file__).parent / "personas" / "results"
DATA = {
    "llmfao/seen-prompts": "LLMFAO", "llmfao/unseen-prompts": "LLMFAO, unseen prompts (first fold)",
    "polis/later-pairs": "Polis", "remesh/later-pairs": "Remesh", "all": "all",
}  # fmt: skip
ANOTHER = "by another's"
MOST = {"own pairs": "the default judge", "others": "a model of the other users"}


def _read(part):
    return json.loads((RESULTS / f"{part}.json").read_text())


def _percent(it, form=".1f"):
    return f"{100 * it['value']:{form}} [{100 * it['low']:{form}}, {100 * it['high']:{form}}]"


def _lines(headings, rows, texts):
    sides = "".join("---|" if i < texts else "---:|" for i in range(len(headings)))
    return "\n".join(
        f"| {' | '.join(map(str, row))} |" if row != "-" else f"|{sides}" for row in (headings, "-", *rows)
    )


def held():
    """Shares of statements that hold on unseen pairs of their user and of another one."""
    rows = [
        (
            DATA[row["data"]], MOST[row["most people"]], row["users"], row["passed"], row["with a persona"],
            f"{row['sentences each']:.1f}", _percent(row["own"]), _percent(row["another"]),
            _percent(row["difference"], "+.1f"),
        )
        for row in sorted(_read("held"), key=lambda row: row["most people"], reverse=True)
    ]  # fmt: skip
    names = (
        "data",
        "anybody is",
        "users",
        "show a taste",
        "have a persona",
        "sentences",
        "own hold",
        "another's hold",
        "difference",
    )
    return _lines(names, rows, 2)


def planted():
    """What is found again of planted tastes."""
    it = _read("planted")
    share = {name: f"{100 * value:.1f} %" for name, value in it.items()}
    return (
        f"Of the {it['strong tastes']} strong tastes of {it['users']} planted users {share['spoken of']} are "
        f"spoken of in the right direction, {share['the wrong way']} in the wrong one; another user's "
        f"persona speaks of {share[ANOTHER]}. {share['with a persona']} of the users have a persona; "
        f"{it['statements each']:.1f} statements a user, {it['of no strong taste, each']:.2f} of them of no "
        f"strong taste. Of the same users with coins for choices {share['coins that stay silent']} stay "
        "silent."
    )


def judges():
    """Accuracy of the builtin judge without and with the profile."""
    kinds = ("default", "persona", "demonstrations", "both")
    rows = [
        (DATA[row["data"]], MOST[row["most people"]], row["pairs"], *(_percent(row[kind]) for kind in kinds))
        for row in _read("judges")
    ]
    return _lines(("data", "anybody is", "pairs", *kinds), rows, 2)


def profile_judge():
    """Accuracy of the judge that knows the whole profile, from own pairs alone, in one line."""
    rows = [row for row in _read("judges") if row["most people"] == "own pairs"]
    return "; ".join(f"{DATA[row['data']]} {_percent(row['both'])}" for row in rows) + "."


def _gain(it):
    return f"{100 * it['gain']:+.1f} ± {100 * it['standard error']:.1f}"


def samples():
    """What the mean of samples of a stand-in gains, beside what theory says of each number."""
    rows = [
        (
            f"Beta({row['a']:g}, {row['b']:g})", f"{100 * row['once']:.1f}",
            *(f"{100 * (row['theory'][k] - row['theory']['1']):+.1f}" for k in ("3", "5")),
            _gain(row), f"{row['calls']:.1f}", f"{100 * row['averaged']:.0f} %",
        )
        for row in _read("samples")
    ]  # fmt: skip
    names = ("a sample is right", "once", "3 by theory", "5 by theory", "as decided", "calls", "averaged for")
    return _lines(names, rows, 1)


def neighbours():
    """What judgements under the personas of the two nearest users gain."""
    rows = [
        (
            DATA[row["data"]], row["users"], f"{100 * row['once']['right']:.1f}", _gain(row["always"]),
            _gain(row["decided"]), f"{row['calls']:.1f}", f"{100 * row['averaged']:.0f} %",
        )
        for row in _read("neighbours")
    ]  # fmt: skip
    return _lines(
        ("data", "users", "once", "two for everybody", "as decided", "calls", "averaged for"), rows, 1
    )


TABLES = {
    "personas-held": held,
    "personas-planted": planted,
    "personas-judges": judges,
    "personas-samples": samples,
    "personas-neighbours": neighbours,
    "profile-judge": profile_judge,
}
