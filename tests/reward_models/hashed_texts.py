"""An encoder that depends on the text alone, and people whose margins are linear in its vectors."""

from __future__ import annotations

import zlib

import numpy as np
from invented import pair, user_says
from scipy.special import expit

from reward_models import _features, _hierarchical, hierarchical

WORDS = ["the", "ship", "sails", "over", "calm", "water", "toward", "a", "small", "island", "near", "home"]
ASKED = (user_says("Where to?"),)


class Hashed:
    """An encoder of unit vectors that look random."""

    identity, dim = "hashed", 8

    def of_response(self, prompt, response):
        return (response,)

    def of_prompt(self, prompt):
        return (prompt[-1].content,)

    def encode(self, units):
        return np.stack([embedding(text) for (text,) in units])


def embedding(text):
    seed = zlib.crc32(text.encode("utf-8", "surrogatepass"))
    vector = np.random.default_rng(seed).normal(size=Hashed.dim)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def opening(patch, features):
    """Whatever specification a hierarchical model opens, it gets ``features(spec)``; nothing else is opened."""
    patch.setattr(hierarchical, "default_encoder", lambda: "hashed")
    patch.setattr(_hierarchical, "open_features", features)
    patch.setattr(_features, "open_features", features)


def drawn_texts(rng, n):
    return sorted({" ".join(rng.choice(WORDS, size=6)) for _ in range(n)})


def population(users, pairs, *, own=4.0, shared=3.0, seed=0, texts=100):
    """Pairs by user whose true margin is linear in the embeddings, and the margins, shape (users, pairs)."""
    rng = np.random.default_rng(seed)
    texts = drawn_texts(rng, texts)
    vectors = np.stack([embedding(text) for text in texts])
    w = shared * rng.normal(size=Hashed.dim)
    histories, margins = {}, []
    for user in (f"u{i}" for i in range(users)):
        weights = w + own * rng.normal(size=Hashed.dim)
        histories[user] = []
        for number in range(pairs):
            one, two = rng.choice(len(texts), 2, replace=False)
            margin = (vectors[one] - vectors[two]) @ weights
            if rng.random() > expit(margin):
                one, two, margin = two, one, -margin
            histories[user].append(likes(user, number, texts[one], texts[two]))
            margins.append(margin)
    return histories, np.reshape(margins, (users, pairs))


def likes(user, number, chosen, rejected):
    return pair(number, user=user, chosen=chosen, rejected=rejected, prompt=ASKED)


def asked(pairs):
    return [p.compare("chosen_first") for p in pairs]


def flat(histories, part=slice(None)):
    return [p for pairs in histories.values() for p in pairs[part]]


def numbers(verdicts):
    """Margins, standard errors and probabilities, shape (3, n)."""
    return np.array([(v.margin, v.standard_error, v.probability) for v in verdicts]).T


def asked_as(user, pairs):
    return [p.model_copy(update={"user_id": user}) for p in pairs]
