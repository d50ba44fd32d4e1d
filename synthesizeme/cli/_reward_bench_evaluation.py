"""``evaluate`` on RewardBench 2: what the users of trained models cost in general quality."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synthesizeme.errors import ConfigError

if TYPE_CHECKING:
    from synthesizeme.comparison.personalization_tax import TaxReport

_NAME = "reward-bench-2"


def is_reward_bench(names: Sequence[str]) -> bool:
    """Whether the benchmark is RewardBench 2."""
    return list(names) == [_NAME]


def reward_bench_report(
    folders: Sequence[str], data_dir: Path | None, max_users: int | None, floor: str | None = None
) -> TaxReport:
    """The personalization tax of every checkpoint.

    Raises:
        ConfigError: a name is no checkpoint, or its model refuses unknown users.
        DataError: a checkpoint or the data cannot be read, or the data is nowhere.
    """
    from reward_models import load
    from synthesizeme.comparison.personalization_tax import tax_report
    from synthesizeme.evaluation.reward_bench import load_reward_bench

    if others := [name for name in folders if not Path(name).is_dir()]:
        raise ConfigError(
            f"{_NAME} is asked of trained reward models alone, as folders that `synthesizeme train` wrote; "
            f"found {', '.join(others)}"
        )
    models = [(name, load(Path(name))) for name in folders]
    if floor is not None:
        for _, model in models:
            model.stand_on(floor)
    return tax_report(models, load_reward_bench(data_dir), max_users=max_users)
