"""CPU seconds to start: the help of the command beside a bare interpreter and an import of typer and rich.

python experiments/startup/run.py
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
REPEATS = 9
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import typer, rich.console": [sys.executable, "-c", "import typer, rich.console"],
    "import synthesizeme": [sys.executable, "-c", "import synthesizeme"],
    "synthesizeme --help": [sys.executable, "-m", "synthesizeme.cli", "--help"],
    "synthesizeme --version": [sys.executable, "-m", "synthesizeme.cli", "--version"],
    "induce-persona, 20 pairs, builtin": [
        sys.executable, "-m", "synthesizeme.cli", "induce-persona", "data/sample/pairs.jsonl",
        "--user", "mara", "--out", "out/startup", "--no-cache",
    ],
}  # fmt: skip


def cpu_seconds(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, cwd=HERE.parent.parent)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    seconds = {
        name: statistics.median(cpu_seconds(command) for _ in range(REPEATS))
        for name, command in COMMANDS.items()
    }
    rival = seconds["import typer, rich.console"]
    rows = {
        name: {"cpu_s": round(value, 3), "ratio": round(value / rival, 2)} for name, value in seconds.items()
    }
    for name, row in rows.items():
        print(f"{name:35} {row['cpu_s']:6.3f} s  {row['ratio']:6.2f} x importing typer and rich")
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "results.json").write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
