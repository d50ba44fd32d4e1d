"""What the pages for readers hold: their blocks of code, which run, and of output, which is what running prints."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {"induce-persona": "induce_persona_main", "synthesizeme": "main"}
PORT = "8000"
MARK = "--- end of block"


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and its text, and what stands in the block of output right after it."""

    language: str
    text: str
    shown: str = ""


def blocks(page):
    """The blocks of a page in their order; a block ``text`` right after one that runs is its output."""
    fences = list(
        re.finditer(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    )
    found = []
    for fence, following in zip_longest(fences, fences[1:]):
        between = fence.string[fence.end() : following.start()] if following else " ."
        shown = following[2] if following and following[1] == "text" and not between.strip() else ""
        found.append(Block(fence[1], fence[2], shown if fence[1] in ("sh", "python") else ""))
    return found


def place_in(folder):
    """A folder as a reader has it after `make demo`: the sample, a file of pairs, both programs on the path."""
    (folder / "data").symlink_to(ROOT / "data")
    (folder / "PAIRS.jsonl").symlink_to(ROOT / "data" / "sample" / "pairs.jsonl")
    (folder / "bin").mkdir()
    for name, function in PROGRAMS.items():
        start = f"import sys; from synthesizeme.cli import {function} as main; sys.exit(main())"
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c "{start}" "$@"\n')
        program.chmod(0o755)
    return folder


def run(arguments, folder, **more):
    """Run a program in a folder of `place_in`, with the checkout importable and no hub."""
    environment = os.environ | {
        "SYNTHESIZEME_CACHE_DIR": str(folder / ".cache"),
        "HF_HUB_OFFLINE": "1",
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}".rstrip(os.pathsep),
    }
    return subprocess.run(
        arguments,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
        **more,
    )


def run_blocks(texts, folder):
    """Run blocks of shell one after the other in one shell; what each printed, and the whole process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    script = f"\necho '{MARK}'\n".join(text.replace(".venv/bin/", "").replace(PORT, port) for text in texts)
    done = run(["bash", "-e", "-o", "pipefail", "-c", script], folder)
    return done.stdout.split(f"{MARK}\n"), done


def missing(shown, printed):
    """The lines of a shown output that were not printed; frames, white space and further digits are no matter.

    A line may end in ``…`` where more was printed.
    """
    there = _plain(printed)
    return [line for line in shown.splitlines() if _plain(line.removesuffix("…")) not in there]


def _plain(text):
    text = re.sub(r"[│╭╮╰╯─]", " ", text)
    text = re.sub(r"-?\d+\.\d{3,}(?:e-?\d+)?", lambda match: f"{float(match[0]):.2f}", text)
    return " ".join(text.split())
