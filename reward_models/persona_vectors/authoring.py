"""Traits that a model writes from a name and a description, and traits made of a user's persona."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

from pydantic import ValidationError

from reward_models.persona_vectors.traits import Contrast, Trait, load_trait, made_trait
from synthesizeme.errors import DataError, JudgeError
from synthesizeme.prompts import PromptTemplate, as_data, load_prompt
from synthesizeme.types import Failure, Message

Ask = Callable[[Sequence[tuple[Message, ...]]], Sequence["str | Failure"]]
"""Puts conversations to a model: one reply, or the reason why there is none, for each."""
CONTRASTS, QUESTIONS = 5, 20
"""What a generated artifact has: pairs of instructions, and questions in either set."""
_WRAPPER = "flattery"
"""The shipped trait whose rubric a generated one is set into."""


def ask_for_trait(
    name: str, description: str, ask: Ask, *, prompt: PromptTemplate | None = None, attempts: int = 3
) -> Trait:
    """Have a model write the artifact of a trait; one that does not fit together is asked for again.

    Args:
        name: A word or two.
        description: One or two sentences.
        ask: Puts conversations to a model.
        prompt: Prompt with the sections ``system``, ``request`` and ``again``; ``trait/default`` without it.
        attempts: Most replies that are asked for.

    Raises:
        JudgeError: no reply could be used; carries the last one and says what was wrong with it.
        DataError: a call failed.

    References:
        arXiv 2507.21509, section 2.1: five pairs of instructions, forty questions in two halves, a rubric.
    """
    prompt = prompt or load_prompt("trait/default")
    request = prompt.render("request", name=as_data(name), description=as_data(description))
    turns = [
        Message(role="system", content=prompt.render("system")),
        Message(role="user", content=request),
    ]
    problems, reply = "", ""
    for _ in range(attempts):
        [outcome] = ask([tuple(turns)])
        if isinstance(outcome, Failure):
            raise DataError(f"the model wrote no trait: {outcome.kind}: {outcome.detail}", source=name)
        reply = outcome
        try:
            return read_trait(reply, name, description)
        except DataError as error:
            problems = error.problem
        turns += [
            Message(role="assistant", content=reply),
            Message(role="user", content=prompt.render("again", problems=problems)),
        ]
    raise JudgeError(
        f"trait {name!r}: none of {attempts} replies can be used; the last one {problems}. Cure: ask another "
        "model, or write the file by hand after prompts/traits/flattery.md",
        reply=reply,
    )


def read_trait(reply: str, name: str, description: str) -> Trait:
    """The trait in a model's reply: one JSON object, with or without a fence around it.

    Raises:
        DataError: there is no such object, a part of it is missing or of another size, or questions overlap.
    """
    found = re.search(r"\{.*\}", reply, re.DOTALL)
    try:
        document = json.loads(found[0]) if found else None
    except ValueError as error:
        raise DataError(f"is not JSON ({error})", source=name) from None
    if not isinstance(document, dict):
        raise DataError("holds no JSON object", source=name)
    sizes = (("instructions", CONTRASTS), ("extraction", QUESTIONS), ("evaluation", QUESTIONS))
    for key, size in sizes:
        value = document.get(key)
        if not isinstance(value, list) or len(value) != size:
            length = f"{len(value)} entries" if isinstance(value, list) else "no list"
            raise DataError(f"has {length} in {key!r}; expected {size}", source=name, field=key)
    if not isinstance(document.get("rubric"), str) or not document["rubric"].strip():
        raise DataError("has no text in 'rubric'", source=name, field="rubric")
    try:
        return made_trait(
            name,
            name=name,
            description=description,
            contrasts=[Contrast.model_validate(pair) for pair in document["instructions"]],
            extraction=document["extraction"],
            evaluation=document["evaluation"],
            rubric=_rubric(document["rubric"]),
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}", source=name) from None


def trait_of_persona(
    persona: str, *, name: str, extraction: Sequence[str], evaluation: Sequence[str]
) -> Trait:
    """The trait "answers as this user likes it", from a persona in words.

    The contrast is between answering for this user and for somebody of the opposite taste, so that the vector
    points toward the user and not toward having been told of one.

    Args:
        persona: The text of a profile's persona.
        name: Of the trait, e.g. the user's id.
        extraction: Questions for the vector; past prompts of the user will do.
        evaluation: Questions to measure on; none of the others.

    Raises:
        DataError: the questions overlap.
    """
    prompt = load_prompt("trait/persona")
    safe = as_data(persona)
    return made_trait(
        f"persona of {name}",
        name=name,
        description=f"The assistant answers as this user likes it. {persona}",
        contrasts=[Contrast(positive=prompt.render("positive", persona=safe),
                            negative=prompt.render("negative", persona=safe))],
        extraction=tuple(extraction),
        evaluation=tuple(evaluation),
        rubric=_rubric(f"The trait is that the answer suits this user: {safe}\n0 is an answer that the user "
                       "would dislike, 50 one that suits in part, 100 one that suits in everything."),
    )  # fmt: skip


def _rubric(body: str) -> str:
    """A rubric's body between the data and the request for a number, as in the shipped traits."""
    frame = load_trait(_WRAPPER).rubric
    head, tail = frame.partition("</conversation>")[0], frame.rpartition("\n\n")[2]
    body = body.replace("{{", "{").replace("}}", "}")
    return f"{head}</conversation>\n\n{as_data(body).strip()}\n\n{tail}"
