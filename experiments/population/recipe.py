"""How the population is made: weights of form from one data set, how strongly people differ from all."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from reward_models._basis import items_of
from reward_models._effects import JudgedTexts
from reward_models._hierarchy import Problem, Rows, fit_own
from reward_models._left_out import CASES, START, LeftOut, lowest, moderated, sharpness
from reward_models._own_taste import shared_variance
from reward_models._standing import reward_scale
from reward_models.hierarchical_form import HierarchicalForm
from synthesizeme.datasets import by_user, read_pairs

LEARNED = "llmfao"
"""Where the shared weights come from."""
SOURCES = (LEARNED, "polis", "remesh")
"""Where it is seen how strongly people differ."""
HISTORIES = (5, 10, 20, 30)
"""Own pairs that a new user is assumed to have."""
USERS, ASKED = 1000, 8
"""For each source and length of history, at most so many users, each asked about at most so many pairs."""
FEWEST = 2
"""Pairs to ask about, below which a user is passed over."""


class Task(NamedTuple):
    """A new user with a few pairs, and later pairs of theirs to predict, of which no text was seen."""

    source: str
    history: Rows
    asked: Rows


def read(data_dir, splits=("train", "validation")):
    """Pairs of every source in these splits."""
    return {
        name: [pair for pair in read_pairs(data_dir / f"{name}.jsonl.gz").pairs if pair.split in splits]
        for name in SOURCES
    }


def started(pairs, *, seed=0, kind=HierarchicalForm):
    """A model with its shared weights. They are fitted beside an effect of every response that was judged
    twice or more, so that a text which many people judged says no more of its form than one text can."""
    model = kind(knows="choices", variances="fixed", tastes="none", seed=seed).fit(pairs)
    histories = by_user(pairs)
    model.judged_ = JudgedTexts.of(items_of(pairs))
    rows = [model._differences(its) for its in histories.values()]
    variances = replace(model.variances_, items=START.items)
    model.fit_ = Problem(rows, variances, len(model.judged_)).fit()
    return model


def tasks(model, sources, lengths=HISTORIES, seed=0):
    """Tasks from every source: users drawn one after the other, their pairs in random order."""
    found = []
    for source, pairs in sources.items():
        users = {user: (its, model._differences(its)) for user, its in by_user(pairs).items()}
        for k in lengths:
            rng = np.random.default_rng([seed, k])
            order = [user for _ in range(3) for user in rng.permutation(sorted(users))][:USERS]
            for user in order:
                its, rows = users[user]
                shuffled = rng.permutation(len(its))
                seen = {text for i in shuffled[:k] for text in (its[i].chosen_text, its[i].rejected_text)}
                asked = [i for i in shuffled[k:] if not seen & {its[i].chosen_text, its[i].rejected_text}]
                if len(asked) >= FEWEST:
                    found.append(Task(source, _taken(rows, shuffled[:k]), _taken(rows, asked[:ASKED])))
    return found


def predictions(model, own_variance, task):
    """What the model would say of the pairs asked about, with these prior variances of the deviations."""
    fit, asked, state = model.fit_, task.asked, None
    mean = fit.offsets(asked)
    variance = (asked.own**2 * own_variance).sum(axis=1)
    seen = np.zeros((len(asked), 0))
    if len(task.history):
        own = fit_own(task.history, fit.offsets(task.history), own_variance)
        state = {"shared_factor": own.shared_factor, "root": own.root, "items": task.history.items}
        seen = asked.own @ own.own_factor.T
        mean = mean + asked.own @ own.mean
        variance = variance - (seen**2).sum(axis=1)
    return LeftOut(mean, np.maximum(variance, 0) + shared_variance(fit, asked, state, seen))


def losses(model, variances, some):
    """Negative log-likelihood by source and length of history, mean over pairs."""
    own, found = _spread(model, variances), defaultdict(list)
    for task in some:
        said = predictions(model, own, task)
        found[task.source, len(task.history)].append(
            np.logaddexp(0, -moderated(said.margins, said.variances))
        )
    return {key: float(np.concatenate(values).mean()) for key, values in found.items()}


def searched(model, some):
    """The prior variance of each group at which new users' pairs are likeliest; every source, every length
    of history counts the same."""
    start = {name: group.own for name, group in model.groups.items()}

    def variances(point):
        return {name: value * float(np.exp(p)) for (name, value), p in zip(start.items(), point, strict=True)}

    best = lowest(
        lambda point: float(np.mean(list(losses(model, variances(point), some).values()))), len(start)
    )
    return variances(best)


def population(sources, *, seed=0):
    """The recipe from beginning to end.

    Args:
        sources: Train and validation pairs by source.
        seed: Of all draws.
    """
    model = started(sources[LEARNED], seed=seed)
    settled(model, searched(model, tasks(model, sources, seed=seed)), sources, seed=seed)
    model.learned_from = frozenset(pair.fingerprint for pairs in sources.values() for pair in pairs)
    model.reward_scale = reward_scale(model.taste_rewards, sources[LEARNED], model.seed)
    return model


def settled(model, variances, sources, *, seed=0):
    """The model as a population, with these prior variances of the deviations by group."""
    own = _spread(model, variances)
    by_known = {
        known: sharpness(_together([predictions(model, own, task) for task in some]))
        for known, some in (
            (True, tasks(model, sources, seed=seed)), (False, tasks(model, sources, (0,), seed=seed)),
        )
    }  # fmt: skip
    return model.settled(model.fit_, variances, {case: by_known["nobody" not in case] for case in CASES})


def _spread(model, variances):
    basis = model.basis_
    return np.concatenate([np.full(basis.width(name), variances[name]) for name in basis.names])


def _together(some):
    return LeftOut(*(np.concatenate(values) for values in zip(*some, strict=True)))


def _taken(rows, places):
    places = np.asarray(places, dtype=np.int64)
    return Rows(rows.shared[places], rows.own[places], np.full_like(rows.items[places], -1))
