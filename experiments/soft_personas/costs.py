"""What it costs to take in a new user: milliseconds of `fit_user`, side by side."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from readers import Study

import reward_models

NEW_USERS = 20


def fitting_costs(settings, seed, folder):
    """Median and quartiles of the milliseconds of `fit_user` for unseen users, the methods in turn."""
    study = Study(settings, seed, folder)
    models = {name: study.fitted(name) for name in ("hierarchical-stylometric", "persona-prompted")}
    models |= {name: reward_models.load(Path(folder) / name) for name in ("uem", "pplug")}
    found = {name: [] for name in models}
    for turn in range(NEW_USERS):
        for kind, (name, model) in enumerate(models.items()):
            # texts of their own, so that nothing of them is in a cache
            pairs = study.population(10 + len(models) * turn + kind, 1, settings["history"], "newest")
            started = time.perf_counter()
            model.fit_user("newest0", pairs)
            found[name].append(1000 * (time.perf_counter() - started))
    return {name: quartiles(times[2:]) for name, times in found.items()}


def quartiles(values):
    return dict(zip(("q1", "median", "q3"), np.quantile(values, (0.25, 0.5, 0.75)).tolist(), strict=True))
