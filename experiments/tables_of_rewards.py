"""Tables of `readme_tables.py` about rewards in use: no-answers, optimisers, chosen questions, speed."""

from __future__ import annotations

import json
from pathlib import Path

HERE = Path(__file__).parent


def read(path):
    return json.loads((HERE / path).read_text(encoding="utf-8"))


def lines(headings, rows, texts=1):
    sides = "".join("---|" if at < texts else "---:|" for at in range(len(headings)))
    return "\n".join(
        [f"| {' | '.join(headings)} |", f"|{sides}", *(f"| {' | '.join(row)} |" for row in rows)]
    )


def points(value, low=None, high=None):
    ends = "" if low is None else f" [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{100 * value:.1f}{ends}"


def gain(value, low, high):
    return f"{100 * value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def mean(rows, key):
    """Of one number over all rows."""
    return sum(row[key] for row in rows.values()) / len(rows)


def of_feedback(beside):
    """What n of each kind are worth beside so many choices: accuracy, and differences to dropping them."""
    rows = read("feedback/results/planted.json")["rows"]
    found = {(row["kind"], row["n"]): row for row in rows if row["beside"] == beside}
    lengths = sorted({n for _, n in found})

    def cell(row):
        known = row.get("to dropped")
        return points(row["accuracy"]) if known is None else f"{points(row['accuracy'])} ({gain(**known)})"

    headings = ("n of a kind", *map(str, lengths))
    kinds = list(dict.fromkeys(kind for kind, _ in found))
    return lines(headings, [(kind, *(cell(found[kind, n]) for n in lengths)) for kind in kinds])


def ties_of_people():
    """Workers' choices, and choices and ties, predicted with and without ties in training."""
    found = read("feedback/results/people.json")
    headings = ("", "without ties", "with ties", "difference")
    rows = []
    for part in ("validation", "test"):
        accuracy, *losses = (found[part][name] for name in ("accuracy", "nll", "three outcomes nll"))
        rows.append((
            f"{part}: accuracy of choices", points(accuracy["without"]), points(accuracy["with"]),
            gain(**accuracy["difference"]),
        ))  # fmt: skip
        for name, loss in zip(("choices", "choices and ties"), losses, strict=True):
            moved = " ".join(
                form.format(loss["difference"][end])
                for end, form in (("value", "{:+.3f}"), ("low", "[{:+.3f},"), ("high", "{:+.3f}]"))
            )
            rows.append((f"{part}: nats of {name}", f"{loss['without']:.3f}", f"{loss['with']:.3f}", moved))
    return lines(headings, rows)


SHOWN_KINDS = (
    "echo", "words shuffled", "random letters", "another language", "refusal", "cut in a sentence",
    "another prompt's answer", "sentences shuffled",
)  # fmt: skip


def floor():
    """How often a text that is no answer beats the chosen one, with the floor and without."""
    beats = read("floor/results/beats.json")["beats"]
    models = {"hierarchical, static": "hierarchical-static", "stylometric": "hierarchical-stylometric"}
    headings = ["%", *(f"{shown}: {with_it}" for shown in models for with_it in ("no floor", "with it"))]

    def cells(kind):
        found = (beats[name][kind] for name in models.values())
        return [points(it[on], *it.get(f"{on} interval", ())) for it in found for on in ("none", "base")]

    kinds = list(beats["hierarchical-static"])
    means = [points(mean(beats[name], on)) for name in models.values() for on in ("none", "base")]
    rows = [[kind, *cells(kind)] for kind in SHOWN_KINDS]
    return lines(headings, [*rows, [f"mean of {len(kinds)} kinds", *means]])


def floor_kinds():
    """The same for every kind, and how many of each are caught, learned from and left out."""
    beats, kinds = read("floor/results/beats.json")["beats"], read("floor/results/kinds.json")
    linear, words = beats["hierarchical-static"], beats["hierarchical-stylometric"]

    def cells(kind):
        row, caught = linear[kind], kinds[kind]
        shares = [points(row[on], *row[f"{on} interval"]) for on in ("none", "base")]
        shares += [points(words[kind][on]) for on in ("none", "base")]
        return shares + [f"{100 * caught[how]:.0f}" for how in ("learned from", "left out")]

    means = [points(mean(of, on)) for of in (linear, words) for on in ("none", "base")]
    caught = {kind: kinds[kind] for kind in linear}
    means += [f"{100 * mean(caught, how):.0f}" for how in ("learned from", "left out")]
    headings = (
        "%", "`hierarchical`, static: no floor", "with it", "stylometric: no floor", "with it", "caught",
        "left out",
    )  # fmt: skip
    return lines(headings, [*([kind, *cells(kind)] for kind in linear), ["mean", *means]])


POLICIES = {
    "lively": {
        "lively-with": "with the floor", "lively-earlier": "with the floor before the expert on content",
        "lively-without": "without",
    },
    "calm": {"calm-with": "with the floor", "calm-without": "without"},
}  # fmt: skip
"""Runs of each user's policy."""


def policy(user):
    """Held-out answers of a user's policy as it learns, a line for each measure and run."""
    named = POLICIES[user]
    found = {name: read(f"overoptimisation/results/policy/{name}.json")["held_out"] for name in named}
    steps = [row["step"] for row in found[f"{user}-with"]]
    measures = {
        "taste": ("taste", "+.2f"), "gold": ("gold", ".1f"), "distinct 3-grams": ("distinct", ".2f"),
        "perplexity under the first model": ("perplexity", ".1f"),
        "share the floor puts down": ("below", ".2f"),
    }  # fmt: skip
    rows = []
    for name, readings in found.items():
        for shown, (key, form) in measures.items():
            at = {row["step"]: format(row[key], form) for row in readings}
            rows.append([named[name], shown, *(at.get(step, "") for step in steps)])
    return lines(("floor", "measure", *(f"step {step}" for step in steps)), rows, texts=2)


def attack():
    """What an attacker gains in reward and loses in gold."""
    found = read("overoptimisation/results/attack.json")["rows"]

    def change(row, key, digits):
        found = row["change"][key]
        return f"{found['mean']:+.{digits}f} ± {found['standard_error']:.{digits}f}"

    rows = [
        [
            "base" if row["floor"] else "none", str(row["pessimism"]), str(row["attacked"]),
            change(row, "value", 2), change(row, "gold", 1), f"{100 * row['below_after']:.0f} %",
        ]
        for row in sorted(found, key=lambda it: (it["pessimism"], it["floor"]))
    ]  # fmt: skip
    headings = ("floor", "pessimism", "answers", "reward", "gold", "final texts that the floor knows")
    return lines(headings, rows)


def best_of_n():
    """Where the gold of the best of n is highest, and where it ends."""
    found = read("overoptimisation/results/best_of_n.json")
    rows = []
    for prompts in ("seen", "unseen"):
        numbers = found[prompts]["n"]
        for with_floor in (False, True):
            plain, *cautious = (row for row in found[prompts]["rows"] if row["floor"] == with_floor)
            best = max(range(len(numbers)), key=lambda at: plain["gold"][at])
            added = (
                f"{it['gain_by_pessimism'][-1]:+.1f} ± {it['gain_standard_error'][-1]:.1f}" for it in cautious
            )
            rows.append(
                [
                    prompts, "base" if with_floor else "none", f"{plain['gold'][best]:.1f}, {numbers[best]}",
                    f"{plain['gold'][-1]:.1f}", " / ".join(added),
                ]
            )  # fmt: skip
    headings = ("prompts", "floor", "best gold, at n", f"at {numbers[-1]:,}", "pessimism 1 / 2 adds there")
    return lines(headings, rows, texts=2)


QUESTIONS = {
    "people, seen prompts": "human-seen-prompts",
    "people, unseen prompts": "human-unseen-prompts",
    "simulated, pool of 60": "simulated-60",
    "simulated, pool of 240": "simulated-240",
}


def active_questions():
    """Accuracy after so many answers, random questions against chosen ones."""
    numbers = ("0", "4", "8", "12", "16")
    rows = []
    for shown, name in QUESTIONS.items():
        found = read(f"active_questions/results/{name}.json")["rows"]
        for kind, said in {"random": "random", "taste": "chosen"}.items():
            cells = []
            for number in numbers:
                it = found[kind].get(number)
                beside = (
                    f" ({gain(*it['minus_random'])})" if it and kind != "random" and number != "0" else ""
                )
                cells.append(f"{points(it['accuracy'])}{beside}" if it else "–")
            rows.append([shown, said, *cells])
    return lines(("users", "questions", *numbers), rows, texts=2)


def population():
    """What own choices add to the population that is shipped, for people and prompts it was not made from."""
    names = {"llmfao": "LLMFAO", "polis": "Polis", "remesh": "Remesh"}
    rows = [
        [
            names[source], number, str(it["users"]), points(*it["accuracy"]),
            gain(*it["gain"]) if "gain" in it else "–", f"{it['log_loss'][0]:.3f}",
        ]
        for source, found in read("population/results/as_installed.json")["sources"].items()
        for number, it in found.items()
    ]  # fmt: skip
    return lines(("data", "own pairs", "users", "accuracy", "gain over none", "log loss"), rows)


def server():
    """Requests, latency and processor time beside an endpoint that only echoes."""
    found = read("server_speed/results/results.json")["ratios"]

    def cell(it, percent):
        unit, digits = (100, 0) if percent else (1, 1)
        median, least, largest = (f"{unit * it[key]:.{digits}f}" for key in ("median", "least", "largest"))
        return f"{median}{' %' if percent else ' x'} ({least} to {largest})"

    rows = [
        [
            f"`{name.split(' / ')[0]}`",
            cell(it["requests"], True),
            cell(it["p99"], False),
            cell(it["cpu"], True),
        ]
        for name, it in found.items()
        if name.endswith("/ echo")
    ]
    return lines(("beside the echo", "requests a second", "99th percentile", "by CPU time"), rows)


def soak():
    found = read("server_speed/results/soak.json")
    memory, growth = found["megabytes"], found["megabytes_per_minute"]
    return (
        f"Over {found['soak']['minutes']} minutes of mixed requests at {found['soak']['requests_per_s']} a "
        f"second ({found['requests']:,}, {found['errors']} errors) memory goes from "
        f"{memory['after_warming']:.1f} MB after two minutes to {memory['last']:.1f} MB: {growth:+.2f} ± "
        f"{found['standard_error']:.2f} MB a minute."
    )


def speed():
    """What fitting, scoring and starting cost, each beside a rival of the same run."""
    found = read("reward_speed/results/results.json")
    started = read("startup/results/results.json")["induce-persona, 20 pairs, builtin"]
    scoring, static = found["scoring"], found["static"]
    pairs = found["config"]["new_user_pairs"]
    rows = [
        (
            f"`{name}`: a user's {pairs} pairs",
            f"{found[name]['fit_user_ms']:.2f} ms",
            f"{found[name]['fit_user_ratio']:.2f} x the time of one scikit-learn regression",
        )
        for name in ("hierarchical-stylometric", "hierarchical")
    ]
    rows += [
        (
            f"`hierarchical-stylometric`: scoring, {scoring['words_each']:.0f} words each",
            f"{scoring['responses_per_s']:,.0f} a second",
            f"{scoring['ratio']:.2f} x the speed of a regression that reads the same features",
        ),
        (
            "`static` embedding of an answer",
            f"{static['texts_per_s']:,.0f} a second",
            f"{static['ratio']:.0f} x the speed of MiniLM",
        ),
        (
            "`induce-persona`, 20 pairs, builtin, all of it",
            f"{started['cpu_s']:.2f} s",
            f"{started['ratio']:.1f} x the time to import typer and rich",
        ),
    ]
    return lines(("one core", "takes", "beside"), rows)


TABLES = {
    "feedback-alone": lambda: of_feedback(0),
    "feedback-beside": lambda: of_feedback(8),
    "ties-of-people": ties_of_people,
    "floor": floor,
    "floor-kinds": floor_kinds,
    "policy": lambda: policy("lively"),
    "policy-calm": lambda: policy("calm"),
    "attack": attack,
    "best-of-n": best_of_n,
    "active-questions": active_questions,
    "population": population,
    "server": server,
    "soak": soak,
    "speed": speed,
}
