"""The tables in README.md, made from the committed results files.

python experiments/readme_tables.py           rewrite the tables
python experiments/readme_tables.py --check   fail if README.md and the results disagree
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
README = HERE.parent / "README.md"


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
}


def signed(gain):
    if gain is None or gain["value"] is None:
        return "–"
    value, low, high = (f"{100 * gain[key]:+.1f}" for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def comparison(study):
    """Rows of a comparison, best first; the best reward model in bold."""
    rows = json.loads((HERE / study / "results.json").read_text())["rows"]
    rows = sorted((row for row in rows if row["name"] != "oracle"), key=lambda row: -row["micro"])
    lines = [
        "| scorer | accuracy | 95 % interval | gain from the user | without the user | another user's "
        "| labels swapped | hierarchical minus this | with the majority |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        name = NAMES.get(row["name"], row["name"])
        cells = [
            f"**{name}**" if row["name"] == "hierarchical" else name,
            percent(row["micro"]),
            f"{percent(row['low'])} – {percent(row['high'])}",
            signed(row["gain"]),
            *(percent(row["controls"].get(key)) for key in ("no_user", "wrong_user", "swapped_labels")),
            signed(row["behind"]),
            percent(row["agrees_with_majority"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def reward_resplits():
    rows = json.loads((HERE / "llmfao" / "results" / "re-splits" / "results.json").read_text())["rows"]
    lines = [
        "| mean of five re-splits | accuracy | gain from the user | without the user | another user's "
        "| labels swapped |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    means = {row["name"]: row["resplits"] for row in rows if row["name"] != "oracle"}
    for name, mean in sorted(means.items(), key=lambda item: -item[1]["micro"]):
        gain = "–" if mean["gain"] is None else f"{100 * mean['gain']:+.1f}"
        controls = (percent(mean[key]) for key in ("no_user", "wrong_user", "swapped_labels"))
        lines.append(
            f"| {NAMES.get(name, name)} | {percent(mean['micro'])} | {gain} | {' | '.join(controls)} |"
        )
    return "\n".join(lines)


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


TABLES = {
    "systems": systems,
    "retrieval": retrieval,
    "lamp": lamp,
    "distilled": distilled,
    "llmfao-seen": lambda: comparison("llmfao/results/seen-prompts"),
    "llmfao-unseen": lambda: comparison("llmfao/results/unseen-prompts"),
    "llmfao-resplits": reward_resplits,
    "polis": lambda: comparison("polis/results"),
    "call-economy": call_economy,
    "planted-recovery": planted_recovery,
    "many-users": many_users,
    "throughput": throughput,
}


def main():
    text = README.read_text(encoding="utf-8")
    made = re.sub(
        r"(<!-- table: ([\w-]+) -->\n)(?:(?!<!-- table).)*?(<!-- end -->)",
        lambda match: f"{match[1]}{TABLES[match[2]]()}\n{match[3]}",
        text,
        flags=re.DOTALL,
    )
    if "--check" in sys.argv[1:]:
        if made != text:
            sys.exit("README.md and experiments/*/results disagree; run python experiments/readme_tables.py")
    else:
        README.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
