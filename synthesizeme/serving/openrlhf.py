"""A reward function for OpenRLHF: give this file, or one of your own, as ``--reward.remote_url``.

The variables of `synthesizeme.serving.opening.SETTING_VARIABLES` and ``SYNTHESIZEME_REWARD_MODEL`` tell this
file what to do. They do not reach workers of a Ray cluster that already runs; there a file of your own names
the settings, with paths that every machine of the cluster sees:

    from synthesizeme.serving.openrlhf import reward_function
    reward_func = reward_function("/shared/model", unknown_user="population")

Or give the address of `synthesizeme serve`, ``http://127.0.0.1:8000/get_reward``. Either way the user's id
rides in the label, bare or as ``{"user_id": ..., "label": ...}``. Without a server the label may also hold
``"about"``: what the user said beside choices, which makes known a user whom the model does not know.
OpenRLHF goes on without a reward, or ends, where it gets none, so ``unknown_user="population"`` is the choice
for data with unknown users. Leave OpenRLHF's own normalisation off: it is that of its own reward models.
"""

from __future__ import annotations

import ast
import json
import logging
import re
import sys
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from synthesizeme.datasets.rows import SourceRow
from synthesizeme.errors import DataError
from synthesizeme.plain_text import short_repr
from synthesizeme.serving.opening import opened
from synthesizeme.serving.rewards import STATUSES, TOLD, RewardQuestion, ScalarRewards, Score
from synthesizeme.serving.rows import ABOUT, answered, refusal, tried
from synthesizeme.visible_text import without_special_tokens

RewardFunction = Callable[..., dict[str, Any]]
_log = logging.getLogger("synthesizeme.serving.openrlhf")


def reward_function(model: str | None = None, **settings: Any) -> RewardFunction:
    """A function as OpenRLHF calls it, whose settings need no environment.

    Args:
        model: Checkpoint folder, or ``judge:NAME``; by default that of ``SYNTHESIZEME_REWARD_MODEL``, else
            the population that is shipped.
        **settings: ``profiles`` and the others of `synthesizeme.serving.opening.opened`.
    """
    told: set[type[Exception]] = set()

    def reward_func(
        queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any], **kwargs: Any
    ) -> dict[str, Any]:
        """Rewards of the responses, each for the user its label names.

        Args:
            queries: Prompt and response in one text.
            prompts: The prompts alone.
            labels: A user id each, or JSON with ``user_id``.
            **kwargs: Anything else OpenRLHF passes; not read.

        Returns:
            `synthesizeme.serving.openrlhf.reply`, tensors of shape (n,) where torch is loaded, else
            lists.

        Raises:
            UnknownUserError: a user is unknown and unknown users are refused.
            DataError: a row cannot be read.
            RewardError: a row cannot be scored and `on_error` is ``raise``.
            ConfigError: the model knows nobody, or a setting is wrong.
        """
        try:
            return _answer(model, settings, queries, prompts, labels)
        except Exception as error:
            if type(error) not in told:
                told.add(type(error))
                _log.error("%s", cause(error))
            raise

    return reward_func


reward_func = reward_function()


def _answer(
    model: str | None,
    settings: dict[str, Any],
    queries: Sequence[str],
    prompts: Sequence[str],
    labels: Sequence[Any],
) -> dict[str, Any]:
    rewards = opened(model, **settings)
    asked = rows(queries, prompts, labels)
    found = answered(rewards, asked)
    if refused := refusal(asked, found):
        raise refused
    answer = reply(found, rewards)
    torch = sys.modules.get("torch")
    if torch is None:
        return answer
    logs = {name: torch.tensor(values, dtype=torch.float32) for name, values in answer["extra_logs"].items()}
    return {"rewards": torch.tensor(answer["rewards"]), "scores": torch.tensor(answer["scores"]),
            "extra_logs": logs}  # fmt: skip


SOURCE = "get_reward"
SHORTEST_OVERLAP = 8
"""Characters that a query must share with the end of a prompt that was cut to fit the policy's window."""
_BROKEN = "\ufffd"
"""What a decoder makes of the rest of a letter that was cut in two."""

_SPELT = ("{", "[", '"', "'")
"""How a label begins that spells a value instead of being an id."""
_NOBODY = frozenset({"null", "None", "nan", "NaN", "<NA>"})
"""What programs write where nothing is."""
_LABEL = (
    "name the column with the user ids with --data.label_key, each an id or JSON such as "
    '{"user_id": "mara"}, as json.dumps writes it'
)


def rows(queries: Sequence[Any], prompts: Sequence[Any], labels: Sequence[Any]) -> list[RewardQuestion]:
    """A question for every query.

    Args:
        queries: Prompt and response in one text, as decoded: special tokens may stand around it, and of a
            prompt that is too long for the policy only the end.
        prompts: The prompts alone, whole.
        labels: The user of each: an id without blanks around it, or JSON with ``user_id`` and
            maybe ``about``, what the user said beside choices (and ``label``, which is not read).

    Raises:
        DataError: the three differ in length, or a row cannot be read; both are faults of the data set or of
            the command, which no other reward would mend.
    """
    if not len(queries) == len(prompts) == len(labels):
        raise DataError(
            f"found {len(queries)} queries, {len(prompts)} prompts and {len(labels)} labels; expected "
            "as many of each",
            source=SOURCE,
            cure="name the column with the user ids with --data.label_key",
        )
    return [_row(number, *row) for number, row in enumerate(zip(queries, prompts, labels, strict=True), 1)]


def cause(error: Exception) -> str:
    """What is logged of a refusal, since OpenRLHF drops its reason."""
    return (
        f"OpenRLHF gets no reward and may end on that: {error} (said once for this kind; OpenRLHF itself "
        "shows no reason)"
    )


def reply(scores: Sequence[Score], rewards: ScalarRewards) -> dict[str, Any]:
    """The answer: numbers alone, of which OpenRLHF makes tensors; ``scored`` 0 marks what is not the user's.

    Args:
        scores: What the scalar path said.
        rewards: The path.

    Returns:
        ``rewards``; ``scores``, each P(preferred to a typical response); and ``extra_logs``: ``taste`` and
        ``floor`` in the model's own unit, and 0 or 1 for ``scored``, ``below_floor``, ``stripped`` and
        every status.
    """
    given = [rewards.substituted(score) for score in scores]
    told = [rewards.told(score) for score in given]
    logs: dict[str, list[float | None]] = {name: [it[name] for it in told] for name in TOLD}
    for status in STATUSES:
        logs[status] = [int(score.status == status) for score in given]
    return {
        "rewards": [score.value for score in given],
        "scores": [score.probability for score in given],
        "extra_logs": logs,
    }


def _row(number: int, query: Any, prompt: Any, label: Any) -> RewardQuestion:
    place = SourceRow(SOURCE, number, {})
    for field, value in (("query", query), ("prompts", prompt)):
        if not isinstance(value, str):
            raise place.error(f"found {short_repr(value)}; expected text", field=field)
    response = _after(query, prompt)
    if response is None:
        raise place.error(
            "does not begin with its prompt, nor with the end of it", field="query",
            cure="give OpenRLHF prompts that its tokenizer decodes to themselves, or a larger --data.max_len",
        )  # fmt: skip
    row = {**_of_user(place, label), "prompt": prompt, "response": response}
    found = tried(SourceRow(SOURCE, number, row))
    if isinstance(found, DataError):
        cure = _LABEL if found.field == "user_id" else None
        raise place.error(found.problem, field=found.field, cure=cure or found.cure)
    return found


def _after(query: str, prompt: str) -> str | None:
    """What a query says after its prompt, or after as much of the end of the prompt as stands before it."""
    if query.startswith(prompt):
        return query[len(prompt) :]
    bare = query.find(without_special_tokens(query).lstrip(_BROKEN))
    for begun in (query, query[bare:]):
        shared = _overlap("".join(begun.split()), "".join(prompt.split()))
        if shared:
            last = next(islice(re.finditer(r"\S", begun), shared - 1, None))
            return begun[last.end() :].removeprefix(prompt[len(prompt.rstrip()) :])
    return None


def _overlap(query: str, prompt: str) -> int:
    """Characters of the longest beginning of a query that the prompt ends with; 0 where there are too few."""
    pattern = query[: len(prompt)]
    borders, length = [0] * len(pattern), 0
    for i in range(1, len(pattern)):  # the prefix function of Knuth, Morris and Pratt
        while length and pattern[i] != pattern[length]:
            length = borders[length - 1]
        length += pattern[i] == pattern[length]
        borders[i] = length
    length = 0
    for letter in prompt:
        while length and (length == len(pattern) or letter != pattern[length]):
            length = borders[length - 1]
        length += bool(pattern) and letter == pattern[length]
    return length if length >= min(SHORTEST_OVERLAP, len(prompt)) else 0


def _of_user(place: SourceRow, label: Any) -> dict[str, Any]:
    """What a label says of the user.

    Text that JSON or Python would write as an object, a text or a list of one is read as these, whatever they
    are in; other text is the id. Blanks around an id may be the data's slip or a part of the id, so they are
    refused. Whoever is really called so is named by an object, ``{"user_id": "[deleted]"}``.

    Raises:
        DataError: it begins like one of these and is none, or an id has blanks around it.
    """
    spelt = label
    while isinstance(spelt, str):
        text = spelt.strip()
        if not text.startswith(_SPELT):
            if text and text != spelt:
                raise _malformed(place, label, "a user's id without blanks around it")
            return {"user_id": None if text in _NOBODY else text}
        found = _value(text)
        spelt = found[0] if isinstance(found, list) and len(found) == 1 else found
        if not isinstance(spelt, str | int | float | dict):
            raise _malformed(place, label, "a user's id or an object")
    if isinstance(spelt, dict):
        return {name: spelt.get(name) for name in ("user_id", ABOUT)}
    return {"user_id": spelt}


def _malformed(place: SourceRow, label: Any, expected: str) -> DataError:
    problem = f"found {short_repr(label)}, a malformed label; expected {expected}"
    return place.error(problem, field="labels", cure=_LABEL)


def _value(text: str) -> Any:
    """The value that a text spells in JSON, or else in Python; None where it spells none."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
    return None
