"""A reward model on the Hugging Face hub: brought there with a card that is made from the model itself."""

from __future__ import annotations

import json
from copy import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from reward_models._base import RewardModel
from synthesizeme.hub import CARD_FRONT, upload
from synthesizeme.plain_text import count
from synthesizeme.version import __version__

_CARD = """{front}
# {title}

A personalized reward model of the method `{method}`
([synthesizeme-rewards](https://pypi.org/project/synthesizeme-rewards/) {version}): what a response is worth
to one user.

    from synthesizeme import load_reward_model

    model = load_reward_model("hub:{name}")
    model.fit_user("me", rows)                                # a user's own choices, chosen and rejected
    model.score("a prompt", "a response", user="me")

- **Learned from** {pairs}. {users}
- **Arguments**: {arguments}.
- **Stands on** the floor `{floor}`: what answers nothing is far below an answer, as far as it knows the kind.
- **Rewards** are log-odds of a choice between two responses. A user without a state {without}.

## Limits

It predicts choices of the people it learned from, no quality and no truth, and is least sure far from the
answers it learned from (each reward has a standard error). An optimiser finds texts that it overrates: keep
a bound on how far a policy goes, and read what it writes. A user's state is a statement about a person:
whoever holds it owes them deletion (`forget_user`).
"""
_WITHOUT = {"population": "gets the population's reward", "refuse": "is refused"}


def push_to_hub(model: RewardModel, name: str, *, users: bool = False, private: bool = True) -> str:
    """Bring the checkpoint of a model, with a card, to a model repository of the Hugging Face hub.

    `load` and wherever a checkpoint is named then take ``hub:owner/name``.

    Args:
        model: A fitted model.
        name: ``owner/name`` of the repository, which is made if there is none.
        users: Whether the states of users go with it, under their ids. By default they stay here: what is
            shared then knows nobody, and a user is fitted where it is used.
        private: Whether a repository that is made here is seen by its owner alone.

    Returns:
        The address of the repository.

    Raises:
        NotFittedError: the model is not fitted.
        DataError: the name is none, there is no login that may write, or the hub is out of reach.
    """
    shared, known = copy(model), model._fitted()
    shared.users_ = dict(known) if users else {}
    with TemporaryDirectory() as place:
        folder = Path(place) / "model"
        shared.save(folder)
        (folder / "README.md").write_text(card(shared, name), encoding="utf-8")
        return upload(folder, name, private=private)


def card(model: RewardModel, name: str) -> str:
    """Markdown with a front matter.

    Args:
        model: A fitted model.
        name: Of its repository on the hub, ``owner/name``.

    Raises:
        NotFittedError: the model is not fitted.
    """
    learned, users = model.learned_from, len(model.users)
    arguments = ", ".join(f"`{key}={json.dumps(value)}`" for key, value in sorted(_given(model).items()))
    return _CARD.format(
        front=CARD_FRONT, title=name.rpartition("/")[2], name=name, method=model.name, version=__version__,
        pairs="pairs that it does not name" if learned is None else count(len(learned), "pair"),
        users=f"It holds the states of {count(users, 'user')}, by id." if users else "It knows no user.",
        arguments=arguments or "as by default", floor=model.floor, without=_WITHOUT[model.unknown_user],
    )  # fmt: skip


def _given(model: RewardModel) -> dict[str, Any]:
    """The arguments that are not those by default, but for paths of the machine that trained."""
    plain = {**type(model)().params(), "backbone": model.params().get("backbone")}
    return {key: value for key, value in model.params().items() if value != plain[key]}
