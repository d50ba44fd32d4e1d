"""The network that tells the order of words in a text from another order of the same words."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np

from reward_models.floor._vectors import LEFT, RIGHT

REDUCED, HIDDEN, PASSES, BATCH = 64, 128, 5, 8192


def learned_order(encoder, prose: list[str], own: list[str], kept: Path | None) -> dict[str, np.ndarray]:
    """Arrays ``order.*`` of `reward_models.floor._vectors.Vectors`, learned by contrast.

    Every gap between two words of a text and of the same words in another order is one example: three tokens
    before it and three after it, and whether the text was the real one (Gutmann and Hyvärinen,
    "Noise-contrastive estimation", 2010, with shuffled texts for noise).

    Args:
        encoder: Static encoder, whose token vectors are read.
        prose: Texts, each read once; half of the short ones, all of the long ones.
        own: Texts that are read eight times.
        kept: File of an earlier run to read, or to write.
    """
    if kept is not None and kept.is_file():
        with np.load(kept) as arrays:
            return dict(arrays)
    rng = random.Random(1)
    short = [text for text in prose if 5 <= len(text.split()) < 20]
    rng.shuffle(short)
    texts = [text for text in prose if len(text.split()) >= 20] + short[:90_000] + own * 8
    rng.shuffle(texts)
    arrays = _trained(encoder, texts)
    if kept is not None:
        np.savez(kept, **arrays)
    return arrays


def _trained(encoder, texts: list[str]) -> dict[str, np.ndarray]:
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    torch.manual_seed(0)
    table = np.vstack([encoder.vectors, np.zeros((1, encoder.dim), "f4")])
    table = torch.tensor(table / np.sqrt((encoder.vectors**2).sum(axis=1)).mean())
    reduce = torch.nn.Linear(encoder.dim, REDUCED, bias=False)
    hidden, out = torch.nn.Linear(REDUCED * (LEFT + RIGHT), HIDDEN), torch.nn.Linear(HIDDEN, 1)
    parameters = [*reduce.parameters(), *hidden.parameters(), *out.parameters()]
    optimizer = torch.optim.Adam(parameters, 2e-3)
    for turn in range(PASSES):
        contexts, real = _examples(encoder.tokenizer, len(table) - 1, texts, turn)
        order = np.random.default_rng(turn).permutation(len(contexts))
        count = len(contexts) // BATCH
        total = 0.0
        for step in range(count):
            some = order[step * BATCH : (step + 1) * BATCH]
            for group in optimizer.param_groups:
                group["lr"] = 2e-3 * (1 - (turn * count + step) / (PASSES * count + 1)) + 1e-5
            around = reduce(table[torch.tensor(contexts[some])]).reshape(len(some), -1)
            logits = out(torch.relu(hidden(around)))[:, 0]
            loss = binary_cross_entropy_with_logits(logits, torch.tensor(real[some]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"word order, pass {turn + 1} of {PASSES}: loss {total / count:.4f}", flush=True)
    return {
        "order.reduce": reduce.weight.detach().T.numpy(), "order.hidden": hidden.weight.detach().T.numpy(),
        "order.bias": hidden.bias.detach().numpy(), "order.out": out.weight.detach()[0].numpy(),
        "order.constant": out.bias.detach().numpy(),
    }  # fmt: skip


def _examples(tokenizer, pad: int, texts: list[str], seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = random.Random(seed)
    starts = np.zeros(pad + 1, dtype=bool)
    for token, number in tokenizer.get_vocab().items():
        starts[number] = token.startswith("▁")
    found, real = [], []
    for text in texts:
        if len(text.split()) < 4:
            continue
        text = text[:3000]
        if rng.random() < 0.15:
            text = re.sub(r"[^\w\s']", "", text).lower()
        for some, label in ((text, 1.0), (_disordered(text, rng), 0.0)):
            ids = np.array(tokenizer.encode(some, add_special_tokens=False).ids, dtype=int)
            laid = np.concatenate([[pad] * LEFT, ids, [pad] * RIGHT])
            gaps = np.flatnonzero(starts[ids])
            gaps = gaps[gaps > 0] + LEFT
            found.append(laid[gaps[:, None] + np.arange(-LEFT, RIGHT)])
            real.append(np.full(len(gaps), label, dtype="f4"))
    return np.concatenate(found), np.concatenate(real)


def _disordered(text: str, rng: random.Random) -> str:
    """The words at random, backwards, at random within short stretches, or half of them exchanged."""
    words = text.split()
    way = rng.random()
    if way < 0.8:
        rng.shuffle(words)
    elif way < 0.85:
        words.reverse()
    elif way < 0.95:
        width = rng.randrange(3, 9)
        for begin in range(0, len(words), width):
            part = words[begin : begin + width]
            rng.shuffle(part)
            words[begin : begin + width] = part
    else:
        for _ in range(len(words) // 2):
            i, j = rng.randrange(len(words)), rng.randrange(len(words))
            words[i], words[j] = words[j], words[i]
    return " ".join(words)
