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
    "default": "default judge (knows nobody)",
    "memory": "memory (raw past pairs)",
    "persona": "persona only",
    "demonstrations": "demonstrations only",
    "both": "**both: the profile**",
    "gpt4": "GPT-4, recorded verdicts",
    "gpt3": "GPT-3.5, recorded verdicts",
    "majority": "majority of the other workers",
    "longer": "longer response",
}


def llmfao(protocol):
    results = HERE / "llmfao_judges" / "results" / protocol / "results.json"
    rows = json.loads(results.read_text())["rows"]
    lines = [
        "| judge | accuracy | 95 % interval | gain over default | another user's | labels swapped |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        gain, controls = row["gain"], row["controls"]
        shown = "–"
        if gain is not None:
            shown = f"{100 * gain['value']:+.1f} [{100 * gain['low']:+.1f}, {100 * gain['high']:+.1f}]"
        interval = f"{percent(row['low'])} – {percent(row['high'])}"
        wrong, swapped = (percent(controls.get(name)) for name in ("wrong_user", "swapped_labels"))
        name = NAMES.get(row["name"], row["name"])
        lines.append(f"| {name} | {percent(row['micro'])} | {interval} | {shown} | {wrong} | {swapped} |")
    return "\n".join(lines)


def resplits():
    means = json.loads((HERE / "llmfao_judges" / "results" / "resplits.json").read_text())
    shown = ", ".join(f"{name} {percent(means[name]['mean'])}" for name in means)
    return f"Mean over five re-splits within the users: {shown}."


def differences():
    found = json.loads((HERE / "llmfao_judges" / "results" / "differences.json").read_text())
    lines = ["| paired difference, points | seen prompts | unseen prompts |", "|---|---:|---:|"]
    seen, unseen = found["llmfao/seen-prompts"], found["llmfao/unseen-prompts"]
    for name in seen:
        cells = (
            f"{100 * row['value']:+.1f} [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
            for row in (seen[name], unseen[name])
        )
        other = NAMES[name.removeprefix("both minus ")]
        lines.append(f"| the profile minus {other} | {' | '.join(cells)} |")
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


TABLES = {
    "llmfao-seen": lambda: llmfao("seen-prompts"),
    "llmfao-unseen": lambda: llmfao("unseen-prompts"),
    "llmfao-resplits": resplits,
    "llmfao-differences": differences,
    "call-economy": call_economy,
    "planted-recovery": planted_recovery,
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
