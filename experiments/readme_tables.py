"""The tables in README.md and docs/results, made from the committed results files.

python experiments/readme_tables.py           rewrite the tables
python experiments/readme_tables.py --check   fail if a page and the results disagree

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``; `TABLES` has the names.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import tables_of_personas
import tables_of_rewards

HERE = Path(__file__).parent
PAGES = (
    HERE.parent / "README.md", *sorted((HERE.parent / "docs" / "results").glob("*.md")),
    HERE / "floor" / "README.md", HERE / "overoptimisation" / "README.md", HERE / "feedback" / "README.md",
    HERE / "personas" / "README.md", HERE / "mutation" / "README.md",
)  # fmt: skip


def percent(value):
    return "–" if value is None else f"{100 * value:.1f}"


NAMES = {
    "default": "judge: knows nobody",
    "memory": "judge: raw past pairs",
    "persona": "judge: persona",
    "demonstrations": "judge: demonstrations",
    "both": "judge: the profile (both)",
    "gpt4": "GPT-4, recorded verdicts",
    "gpt3": "GPT-3.5, recorded verdicts",
    "majority": "majority of the other workers",
    "longer": "longer response",
    "hierarchical-static": "hierarchical, base install",
    "choices-alone": "hierarchical: choices alone",
    "words-alone": "hierarchical: own words alone",
    "demographics-alone": "hierarchical: demographics alone",
    "all-of-them": "hierarchical: all of them",
}


def signed(gain):
    if gain is None or gain["value"] is None:
        return "–"
    if gain["low"] is None:
        return f"{100 * gain['value']:+.1f}"
    value, low, high = (f"{100 * gain[key]:+.1f}" for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def decimal(value):
    return "–" if value is None else f"{value:.3f}"


def shown(name):
    known = NAMES.get(name, name)
    return f"**{known}**" if name == "hierarchical" else known


def rows_of(study):
    rows = json.loads((HERE / study / "results.json").read_text())["rows"]
    return [row for row in rows if row["name"] != "oracle"]


def table(headings, rows, texts=1):
    """A Markdown table without the columns that no row fills; the first `texts` columns are text."""
    filled = [i for i in range(len(headings)) if i < texts or any(row[i] != "–" for row in rows)]
    sides = "".join("---|" if i < texts else "---:|" for i in filled)
    lines = [f"| {' | '.join(line[i] for i in filled)} |" for line in (headings, *rows)]
    return "\n".join([lines[0], f"|{sides}", *lines[1:]])


def comparison(study):
    """Rows of a comparison, best first; the best reward model in bold."""
    headings = (
        "scorer", "accuracy", "95 % interval", "gain from the user", "without the user", "another user's",
        "labels swapped", "hierarchical minus this", "with the majority", "NLL", "NLL without the user",
        "ECE",
    )  # fmt: skip
    rows = [
        (
            shown(row["name"]),
            percent(row["micro"]),
            between(row),
            signed(row["gain"]),
            *(percent(row["controls"].get(key)) for key in ("no_user", "wrong_user", "swapped_labels")),
            signed(row["behind"]),
            percent(row["agrees_with_majority"]),
            decimal(row.get("nll")),
            decimal(row.get("nll_controls", {}).get("no_user")),
            decimal(row["ece"]),
        )
        for row in sorted(rows_of(study), key=lambda row: -row["micro"])
    ]
    return table(headings, rows)


def resplits(study):
    """Means over re-splits, best first; intervals resample users."""
    found = {row["name"]: row["resplits"] for row in rows_of(study) if row["resplits"]}
    headings = (
        f"mean of {max(mean['n'] for mean in found.values())} re-splits", "accuracy", "95 % interval",
        "gain from the user", "without the user", "another user's", "labels swapped",
        "hierarchical minus this", "NLL", "NLL without the user", "ECE",
    )  # fmt: skip
    rows = [
        (
            shown(name),
            percent(mean["micro"]),
            between(mean),
            signed({"value": mean["gain"], "low": mean.get("gain_low"), "high": mean.get("gain_high")}),
            *(percent(mean[key]) for key in ("no_user", "wrong_user", "swapped_labels")),
            signed(mean.get("behind")),
            *(decimal(mean.get(key)) for key in ("nll", "nll_no_user", "ece")),
        )
        for name, mean in sorted(found.items(), key=lambda item: -item[1]["micro"])
    ]
    return table(headings, rows)


def new_users(study):
    """History-length curves, the best first: pairs drawn at random, and in file order."""
    points = {(row["name"], it["order"], it["length"]): it for row in rows_of(study) for it in row["curve"]}
    lengths = sorted({length for _, _, length in points})
    users = {n: max(it["n_users"] or 0 for key, it in points.items() if key[2] == n) for n in lengths}
    most = max(users.values())
    headings = [f"{n} ({users[n]} users)" if 0 < users[n] < most else str(n) for n in lengths]
    longest = max(n for n in lengths if users[n] == most)
    ranking = {key: points[*key, longest]["micro"] for key in dict.fromkeys(key[:2] for key in points)}
    best = {name: max(it for key, it in ranking.items() if key[0] == name) for name, _ in ranking}
    rows = [
        (shown(name), order, *(ended(points.get((name, order, n))) for n in lengths))
        for name, order in sorted(ranking, key=lambda key: (-best[key[0]], key[0], key[1] != "random"))
    ]
    return table(("accuracy after so many own pairs", "pairs", *headings), rows, texts=2)


def between(found):
    """The interval of an accuracy."""
    return "–" if found.get("low") is None else f"{percent(found['low'])} – {percent(found['high'])}"


def ended(point):
    """An accuracy with its interval."""
    if point is None or point["micro"] is None:
        return "–"
    ends = "" if point["low"] is None else f" [{percent(point['low'])}, {percent(point['high'])}]"
    return f"{percent(point['micro'])}{ends}"


HEADLINE = (
    "hierarchical",
    "hierarchical-static",
    "hierarchical-stylometric",
    "pooled-own",
    "pal-b",
    "gpo",
    "lore",
    "both",
    "persona",
    "majority",
    "gpt4",
    "longer",
)


def headline():
    """The scorers that say most, on every study of real people: accuracy and the gain from the user."""
    studies = {
        "LLMFAO, seen prompts": "llmfao/results/seen-prompts",
        "unseen prompts": "llmfao/results/unseen-prompts",
        "Polis, later votes": "polis/results",
    }
    measured = [{row["name"]: row for row in rows_of(study)} for study in studies.values()]
    headings = ["scorer", *(heading for name in studies for heading in (name, "gain"))]
    rows = []
    for name in HEADLINE:
        found = [rows_.get(name) for rows_ in measured]
        cells = [(percent(row["micro"]), signed(row["gain"])) if row else ("–", "–") for row in found]
        rows.append((shown(name), *(cell for pair in cells for cell in pair)))
    return table(headings, rows)


def soberly():
    """What the headline table does and does not say, with the figures of further results files."""
    resplit = {row["name"]: row["resplits"] for row in rows_of("llmfao/results/re-splits")}
    unseen, bare, polis, statements = (
        {row["name"]: row for row in rows_of(study)}
        for study in (
            "llmfao/results/unseen-prompts", "llmfao/results/unseen-prompts-no-floor", "polis/results",
            "polis/results/new-statements",
        )
    )  # fmt: skip
    seen = {row["name"]: row for row in rows_of("llmfao/results/seen-prompts")}
    ours = seen["hierarchical"]
    new, rival = (statements[name]["resplits"] for name in ("hierarchical", "pooled-own"))
    before = json.loads((HERE / "polis" / "results" / "new-statements" / "before.json").read_text())

    def after_sixteen(row, order):
        reached = {it["length"]: it["micro"] for it in row["curve"] if it["order"] == order}
        return f"{100 * (reached[16] - reached[0]):+.1f}"

    drawn, first = (after_sixteen(ours, order) for order in ("random", "file order"))
    polis_drawn, polis_first = (after_sixteen(polis["hierarchical"], it) for it in ("random", "file order"))
    gains = sorted([100 * ours["gain"]["value"], 100 * resplit["hierarchical"]["gain"]])
    rival_behind = signed(resplit["pooled-own"]["behind"]).lstrip("+")
    said = {
        "Seen prompts.": "The embedded models were trained on these very prompts and GPT-4 was not. What "
        f"counts is that knowing the worker is worth {gains[0]:.1f} points here and {gains[1]:.1f} over "
        f"re-splits, that another worker's history ({percent(ours['controls']['wrong_user'])} %) is worth "
        f"less than none ({percent(ours['controls']['no_user'])} %), and that scikit-learn's regressions on "
        f"the same features (`pooled-own`) lie {rival_behind} points behind.",
        "Unseen prompts.": f"The gain is {signed(unseen['hierarchical']['gain'])}: its interval includes "
        "zero. The floor has read LLMFAO's answers, not the choices; without it `hierarchical` has "
        f"{percent(bare['hierarchical']['micro'])}.",
        "What nobody judged.": "On statements that were in no training pair, what an RLHF loop asks, "
        f"`hierarchical` has {percent(new['micro'])} % over {new['n']} seeds ({percent(before['accuracy'])} "
        f"before variances were chosen on texts left out), at {new['nll']:.3f} nats (before "
        f"{before['nll']:.3f}; `pooled-own` {rival['nll']:.3f}, a coin .693).",
        "New users.": f"Sixteen first pairs are worth {drawn} points on LLMFAO when drawn at random and "
        f"{first} in file order, which is about four prompts; on Polis {polis_drawn} and {polis_first}.",
        "Not here.": "All of it is single-turn English, and the judge of this table is the rule-based "
        "reader, not a language model.",
    }
    return "\n".join(f"- **{what}** {text}" for what, text in said.items())


def call_economy():
    return (HERE / "call_economy" / "results" / "table.md").read_text().strip()


def planted_recovery():
    results = json.loads((HERE / "planted_recovery" / "results" / "results.json").read_text())
    named, accuracy = results["named"], results["accuracy"]
    said = ", ".join(f"{name} {percent(figures['micro'])}" for name, figures in accuracy.items())
    own, other = percent(named["own persona"]), percent(named["another user's"])
    return (
        f"On {results['config']['users']} planted users the induced persona speaks of {own} % of its user's "
        f"strong planted preferences; another user's persona of {other} %. Accuracy: {said}."
    )


def many_users():
    results = json.loads((HERE / "many_users" / "results" / "results.json").read_text())
    rows, fit, far = results["rows"], results["fit"], results["million"]
    sizes = ", ".join(f"{row['users']:,}" for row in rows)
    memory = ", ".join(f"{row['peak_mb']:.0f}" for row in rows)
    error = "" if fit["standard_error"] is None else f" ± {fit['standard_error']:.3f}"
    each, hours, store = far["cpu_ms_per_user"], far["core_hours"], far["store_gb"]
    slope = f"{fit['slope']:.3f}{error}"
    return (
        f"Cost is linear in users: {sizes} simulated ones with {results['config']['pairs']} pairs each and "
        f"the builtin reader, in SQLite, give a log-log slope of CPU seconds of {slope}, at a peak memory of "
        f"{memory} MB. At {each:.0f} ms a user a million would take {hours:.1f} hours of one core "
        f"({results['machine']['processor']}), less by as many shards as there are cores, and a store of "
        f"{store:.0f} GB; a language model would be asked {far['calls'] / 1e6:.0f} million times, evaluation "
        "included."
    )


def throughput():
    results = json.loads((HERE / "throughput" / "results" / "results.json").read_text())
    config, ours, ratio = results["config"], results["induction"], results["cpu_ratio"]
    return (
        f"Against an endpoint that takes {config['latency_ms']} ms a call, with {config['slots']} calls in "
        f"flight, {config['users']} users of {config['pairs']} pairs keep {percent(ours['slots_busy'])} % of "
        f"the slots busy; a call costs {ours['cpu_ms_per_call']:.2f} ms of CPU time, {ratio:.2f} of what "
        "`dspy.ChainOfThought` through litellm takes in the same run."
    )


def retrieval():
    rows = json.loads((HERE / "lamp" / "results" / "llmfao.json").read_text())["llmfao/seen-prompts"]
    lines = [
        "| judge | accuracy | 95 % interval | gain from the user | another user's | labels swapped "
        "| tokens a question |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        if row["k"] not in (0, 4):
            continue
        value, low, high = row["accuracy"]
        gain = dict(zip(("value", "low", "high"), row["gain"], strict=True)) if "gain" in row else None
        controls = (percent(row.get("controls", {}).get(key)) for key in ("wrong_user", "swapped_labels"))
        cells = [percent(value), f"{percent(low)} – {percent(high)}", signed(gain), *controls]
        name = NAMES.get(row["name"], row["name"])
        lines.append(f"| {name} | {' | '.join(cells)} | {row['tokens_per_question']:,.0f} |")
    return "\n".join(lines)


def lamp():
    results = json.loads((HERE / "lamp" / "results" / "lamp.json").read_text())
    names = ("random", "recency", "bm25", "dense")
    lines = [
        f"| task | metric | nobody's items | {' | '.join(names)} | bm25, another user's items |",
        f"|---|---|{'---:|' * (len(names) + 2)}",
    ]
    for task, rows in results.items():
        found = {row["name"]: row for row in rows if row["k"] in (0, 4)}
        kind = "vote" if f"vote-{names[0]}" in found else "retrieval"
        if not all(f"{kind}-{name}" in found for name in names):
            continue
        metric = next(iter(found["default"]["metrics"]))
        cells = [f"{found[f'{kind}-{name}']['metrics'][metric]['value']:.3f}" for name in names]
        other = found[f"{kind}-bm25"]["controls"]["wrong_user"][metric]
        nobody = "–" if kind == "vote" else f"{found['default']['metrics'][metric]['value']:.3f}"
        lines.append(f"| {task}, {kind} | {metric} | {nobody} | {' | '.join(cells)} | {other:.3f} |")
    return "\n".join(lines)


def distilled():
    results = json.loads((HERE / "lamp" / "results" / "distilled.json").read_text())

    def differences(runs):
        last = [row for run in runs for row in run["rows"] if row["name"] == "distilled" and row["k"] == 4]
        return ", ".join(
            f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"
            for value, low, high in ([100 * it for it in row["minus_dense"]] for row in last)
        )

    return (
        "A dense retriever distilled from what helped the judge with some users, used for others, minus the "
        "plain one at k = 4, one seed each: on planted users who wrap their questions in small talk "
        f"{differences(results['framed'])} points; on LLMFAO {differences(results['llmfao'])}."
    )


def systems():
    """What each system carries from a user's history to the judge, for how many tokens, and how well."""
    studies = [f"llmfao/results/{name}-prompts/results.json" for name in ("seen", "unseen")]
    measured = [{row["name"]: row for row in json.loads((HERE / it).read_text())["rows"]} for it in studies]
    retrieved = json.loads((HERE / "lamp" / "results" / "llmfao.json").read_text())

    def spent(name):
        usage = measured[0][name]["usage"]
        return usage["prompt_tokens"] / usage["distinct_calls"]

    def judge(name):
        return f"{spent(name) - spent('default'):,.0f}"

    def found(name):
        return [f"{percent(rows[name]['micro'])} | {signed(rows[name]['gain'])}" for rows in measured]

    bm25 = [next(row for row in rows if (row["name"], row["k"]) == ("retrieval-bm25", 4))
            for rows in retrieved.values()]  # fmt: skip
    tokens = f"{bm25[0]['tokens_per_question'] - spent('default'):,.0f}"
    gains = [dict(zip(("value", "low", "high"), row["gain"], strict=True)) for row in bm25]
    cells = [f"{percent(row['accuracy'][0])} | {signed(gain)}" for row, gain in zip(bm25, gains, strict=True)]
    rows = [
        ("none", "judge", "nothing", "0", found("default")),
        ("memory", "judge", "all past pairs", judge("memory"), found("memory")),
        ("LaMP, `retrieval-bm25`", "judge", "the 4 past pairs most like the question", tokens, cells),
        ("SynthesizeMe, persona", "judge", "who the user is, in words", judge("persona"), found("persona")),
        ("SynthesizeMe, profile", "judge", "persona and demonstrations", judge("both"), found("both")),
        ("User Embedding Model, `uem`", "fine-tuned MiniLM", "a soft token for each past pair, 20 shared",
         "70 at most, soft", found("uem")),
        ("Persona-Plug, `pplug`", "frozen MiniLM", "one soft token that depends on the prompt, 1 shared",
         "2, soft", found("pplug")),
        ("`hierarchical`", "linear", "weights with standard errors", "0", found("hierarchical")),
        ("Persona Vectors", "nobody: it steers the policy", "a direction of the policy's activations", "0",
         ["– | –"] * 2),
    ]  # fmt: skip
    lines = [
        "| system | who judges | what is carried from the history | tokens a question | seen prompts | gain "
        "| unseen prompts | gain |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    return "\n".join([*lines, *(f"| {' | '.join([*row[:4], *row[4]])} |" for row in rows)])


def mutation():
    """What the tests find of each sample of mutants."""
    paths = sorted((HERE / "mutation" / "results").glob("*.json"))
    rows = []
    for found in (json.loads(path.read_text(encoding="utf-8")) for path in paths):
        mutants, killed, same = found["mutants"], found["killed"], found["equivalent"]
        shares = [percent(killed / count) for count in (mutants, mutants - same)]
        rows.append([found["seed"], mutants, killed, same, *shares])
    headings = ("seed", "mutants", "found", "change nothing", "found, %", "of those that change something, %")
    return table(headings, [[str(cell) for cell in row] for row in rows])


TABLES = {
    "headline": headline,
    "soberly": soberly,
    "systems": systems,
    "retrieval": retrieval,
    "lamp": lamp,
    "distilled": distilled,
    "llmfao-seen": lambda: comparison("llmfao/results/seen-prompts"),
    "llmfao-unseen": lambda: comparison("llmfao/results/unseen-prompts"),
    "llmfao-resplits": lambda: resplits("llmfao/results/re-splits"),
    "llmfao-new-users": lambda: new_users("llmfao/results/seen-prompts"),
    "polis": lambda: comparison("polis/results"),
    "polis-new-users": lambda: new_users("polis/results"),
    "polis-new-statements": lambda: resplits("polis/results/new-statements"),
    "remesh-later": lambda: comparison("remesh/results/later-pairs"),
    "remesh-random": lambda: resplits("remesh/results/random-split"),
    "remesh-new-answers": lambda: resplits("remesh/results/new-answers"),
    "call-economy": call_economy,
    "planted-recovery": planted_recovery,
    "many-users": many_users,
    "throughput": throughput,
    "mutation": mutation,
    **tables_of_personas.TABLES,
    **tables_of_rewards.TABLES,
}


def made(text):
    """A page with its tables made afresh."""
    return re.sub(
        r"(<!-- table: ([\w-]+) -->\n)(?:(?!<!-- table).)*?(<!-- end -->)",
        lambda match: f"{match[1]}{TABLES[match[2]]()}\n{match[3]}",
        text,
        flags=re.DOTALL,
    )


def main():
    texts = {page: page.read_text(encoding="utf-8") for page in PAGES}
    stale = [page for page, text in texts.items() if made(text) != text]
    if "--check" in sys.argv[1:] and stale:
        names = ", ".join(page.name for page in stale)
        sys.exit(f"{names} and experiments/*/results disagree; run python experiments/readme_tables.py")
    for page in stale:
        page.write_text(made(texts[page]), encoding="utf-8")


if __name__ == "__main__":
    main()
