"""Whether a text is an answer: its likelihood under the policy before, and its variety."""

from __future__ import annotations

import numpy as np
import torch

BATCH = 16


def distinct(text):
    """Distinct 3-grams of words for each 3-gram, in [0, 1]; 1 for a text of fewer than 3 words."""
    words = text.lower().split()
    runs = list(zip(words, words[1:], words[2:], strict=False))
    return len(set(runs)) / len(runs) if runs else 1.0


class Likelihood:
    """The policy before, asked how likely a text is as the answer to a prompt."""

    def __init__(self, model, tokenizer):
        self.model, self.tokenizer = model.eval(), tokenizer

    def mean(self, prompts, texts):
        """Mean log-likelihood of a token of each text, in nats; that of an empty text is that of its end."""
        found = [
            self._batch(prompts[i : i + BATCH], texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)
        ]
        return np.concatenate(found)

    @torch.no_grad()
    def _batch(self, prompts, texts):
        end = self.tokenizer.eos_token_id
        asked = [
            self.tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=True,
                return_dict=True,
            )["input_ids"]
            for prompt in prompts
        ]  # fmt: skip
        said = [self.tokenizer(text, add_special_tokens=False)["input_ids"] or [end] for text in texts]
        longest = max(len(a) + len(s) for a, s in zip(asked, said, strict=True))
        rows = torch.full((len(texts), longest), end)
        for row, a, s in zip(rows, asked, said, strict=True):
            row[: len(a) + len(s)] = torch.tensor(a + s)
        logits = self.model(input_ids=rows).logits[:, :-1].log_softmax(-1)
        each = logits.gather(2, rows[:, 1:, None])[:, :, 0]
        return np.array([
            each[i, len(a) - 1 : len(a) + len(s) - 1].mean().item()
            for i, (a, s) in enumerate(zip(asked, said, strict=True))
        ])  # fmt: skip


class IsAnswer:
    """How far a text is as likely and as varied as nearly all answers of the policy before are.

    Both count 1 from the 5 % quantile of those answers on. The likelihood falls to 0 over the distance
    between that quantile and the median, or one nat where that is more; the variety at no distinct 3-gram.

    Args:
        likelihoods: Mean log-likelihoods of answers of the policy before.
        varieties: Their `distinct`.
    """

    def __init__(self, likelihoods, varieties):
        self.least = float(np.quantile(likelihoods, 0.05))
        self.width = max(1.0, float(np.median(likelihoods)) - self.least)
        self.variety = float(np.quantile(varieties, 0.05))

    def __call__(self, likelihoods, varieties):
        """In [0, 1], shape (n,)."""
        likely = 1 - (self.least - np.asarray(likelihoods)) / self.width
        varied = np.asarray(varieties) / self.variety
        return np.clip(likely, 0, 1) * np.clip(varied, 0, 1)
