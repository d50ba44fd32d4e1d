"""Milliseconds of the base floor for an answer of about 100 words, beside embedding the same answers.

OMP_NUM_THREADS=1 python experiments/floor/speed.py
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path

import corpora

from reward_models._features import open_features
from reward_models.floor._base_floor import BaseFloor
from synthesizeme.types import Message

HERE = Path(__file__).parent


def main() -> None:
    rows = [row for row in corpora.written("ordinary") if 85 <= len(row.response.split()) <= 115]
    prompts = [(Message(role="user", content=row.prompt),) for row in rows]
    texts = [row.response for row in rows]
    floor, static = BaseFloor(), open_features("static")
    floor.shortfalls(prompts[:2], texts[:2])
    ours, rival = [], []
    for _ in range(5):
        floor.forget()
        floor._lately = {}
        started = time.process_time()
        for prompt, text in zip(prompts, texts, strict=True):
            floor.shortfalls([prompt], [text])
        ours.append(1000 * (time.process_time() - started) / len(texts))
        started = time.process_time()
        for prompt, text in zip(prompts, texts, strict=True):
            static.responses([prompt], [text])
        rival.append(1000 * (time.process_time() - started) / len(texts))
    long = " ".join([*" ".join(texts).split()] * 2)[:80_000]
    started = time.process_time()
    floor.shortfalls(prompts[:1], [long])
    found = {
        "answers": len(texts), "floor_ms": statistics.median(ours),
        "static_embedding_ms": statistics.median(rival),
        "words_of_a_long_answer": len(long.split()),
        "long_answer_ms": 1000 * (time.process_time() - started),
    }  # fmt: skip
    print(found)
    (HERE / "results" / "speed.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
