"""Profiles of very many users: from a store of pairs into the same store, again and again.

- `synthesizeme.induction.job`: `InductionJob`, what to do, and `Shard`, for which users.
- `synthesizeme.induction.run`: does it in this process, several users at once where the model is waited for.
- `synthesizeme.induction.on_ray`: spreads it over a Ray cluster.
- `synthesizeme.induction.drift`: whether recent pairs contradict a profile.
"""

from __future__ import annotations

from synthesizeme.induction.job import InductionJob, Shard
from synthesizeme.induction.run import run
from synthesizeme.induction.summary import RunSummary

__all__ = ["InductionJob", "RunSummary", "Shard", "run"]
