"""From pairs to profiles: of one user, of those of a file, of a million in a store, again and again.

- `synthesizeme.induction.one_user`: `induce_user`, the pairs of a user in, the profile and how it does out.
- `synthesizeme.induction.run`: many users, several at once where the model is waited for, or spread over a
  Ray cluster: `induce_users` of pairs at hand, `run` of a store.
- `synthesizeme.induction.job`: `InductionJob`, what a run over a store does, and `Shard`, for which users.
- `synthesizeme.induction.estimate`: what it would take, before anything is sent.
- `synthesizeme.induction.drift`: whether recent pairs contradict a profile.
"""

from __future__ import annotations

from synthesizeme.induction.job import InductionJob, RunSummary, Shard
from synthesizeme.induction.one_user import InductionSettings, UserDone, UserResult, induce_user
from synthesizeme.induction.run import induce_users, run

__all__ = [
    "InductionJob",
    "InductionSettings",
    "RunSummary",
    "Shard",
    "UserDone",
    "UserResult",
    "induce_user",
    "induce_users",
    "run",
]
