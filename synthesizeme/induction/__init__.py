"""Profiles of very many users: from a store of pairs into the same store, again and again.

- `synthesizeme.induction.job`: `InductionJob`, what to do, and `Shard`, for which users.
- `synthesizeme.induction.run`: does it in this process, several users at once where the model is waited for,
  or spread over a Ray cluster.
- `synthesizeme.induction.drift`: whether recent pairs contradict a profile.
"""

from __future__ import annotations

from synthesizeme.induction.job import InductionJob, RunSummary, Shard
from synthesizeme.induction.run import run

__all__ = ["InductionJob", "RunSummary", "Shard", "run"]
