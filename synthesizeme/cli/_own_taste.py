"""``score --weights``: in what a user differs from most people, as text or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from synthesizeme.cli._output import print_json
from synthesizeme.plain_text import printable

if TYPE_CHECKING:
    from reward_models import RewardModel
    from synthesizeme.types import Evidence, OwnTaste

MOST = 20
"""Items of each block."""


def show_own_taste(model: RewardModel, user: str, *, as_json: bool) -> None:
    """Print what sets a user apart, and, of a user who is set apart, what is liked as most people do.

    Raises:
        ConfigError: the model has no named weights.
        DataError: the model does not know the user.
    """
    from synthesizeme.serving.loaded import own_taste

    found = own_taste(model, user)
    if as_json:
        print_json(_document(user, found))
        return
    chance = f"p = {found.p_value:.3f}: how often somebody who chooses as anybody does would differ as much"
    if not found.set_apart:
        typer.echo(f"Nothing yet that sets this user apart from most people ({chance}).")
        return
    typer.echo(f"More than most people ({chance})")
    for item in found.own[:MOST]:
        typer.echo(f"  prefers {printable(item.statement)}: {_numbers(item)}")
    if not found.own:
        typer.echo("  no single feature is clear")
    if found.common:
        typer.echo("Like most people")
    for item in found.common[:MOST]:
        typer.echo(f"  prefers {printable(item.statement)}: {_numbers(item)}")


def _document(user: str, found: OwnTaste) -> dict[str, object]:
    from synthesizeme.types import APART_LEVEL

    own, common = (
        [item.model_dump(mode="json") for item in items[:MOST]] for items in (found.own, found.common)
    )
    test = {"p_value": found.p_value, "level": APART_LEVEL, "set_apart": found.set_apart}
    return {"user_id": user, "test": test, "weights": own, "like_most_people": common}


def _numbers(item: Evidence) -> str:
    others = "" if item.population is None else f"; most people {item.population:+.2f}"
    pairs = f"; pairs {', '.join(printable(name, 40) for name in item.pair_ids)}" if item.pair_ids else ""
    return f"{item.weight:+.2f} ± {item.standard_error:.2f} ({printable(item.feature)}{others}{pairs})"
