"""A trait of character, as a file: what is contrasted, what is asked, and how an answer is scored.

The file is a prompt file (see `synthesizeme.prompts`) with the sections ``description``, ``instructions``
(lines ``+ …`` and ``- …`` by turns), ``extraction`` and ``evaluation`` (one question a line, ``- …``) and
``rubric``.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from synthesizeme.errors import DataError, JudgeError, UnknownNameError
from synthesizeme.files import write_whole
from synthesizeme.prompts import PromptTemplate, as_data, load_prompt, prompt_names
from synthesizeme.types import Failure, Frozen, Message

FOLDER = "traits/"
"""Where the shipped artifacts are among the prompts."""
SECTIONS = ("description", "instructions", "extraction", "evaluation", "rubric")
_CURE = "give each its own lines, as in prompts/traits/flattery.md."


class Contrast(Frozen):
    """Two instructions that differ in the trait."""

    positive: str = Field(min_length=1)
    """System message under which a model shows the trait."""
    negative: str = Field(min_length=1)
    """System message under which it does not."""


class Trait(Frozen):
    """What is needed to find one trait in a model's activations, and to score it."""

    name: str = Field(min_length=1)
    """A word or two."""
    description: str = Field(min_length=1)
    """One or two sentences."""
    contrasts: tuple[Contrast, ...] = Field(min_length=1)
    """Five of them in the paper."""
    extraction: tuple[str, ...] = Field(min_length=1)
    """Questions for the vector and the choice of its layer; 20 in the paper."""
    evaluation: tuple[str, ...] = Field(min_length=1)
    """Questions for everything that is claimed of the vector; none of the others."""
    rubric: str = Field(min_length=1)
    """Prompt for a judge, with the variables ``question`` and ``answer``; asks for a number from 0 to 100."""

    def asks_for_a_score(self, question: str, answer: str) -> str:
        """The rubric about one answer; both texts are made safe as data."""
        return _template(self.name, {"rubric": self.rubric}).render(
            "rubric", question=as_data(question), answer=as_data(answer)
        )


def made_trait(source: str, **fields: object) -> Trait:
    """A trait whose parts fit together.

    Raises:
        DataError: a part is missing, the two sets of questions overlap, or the rubric lacks a variable; names
            the part, what was found and the cure.
    """
    for name in ("extraction", "evaluation", "contrasts"):
        if not fields.get(name):
            raise DataError("is missing or empty", source=source, field=name, cure=_CURE)
    trait = Trait.model_validate(fields)
    _check_questions(trait, source)
    for variable in ("question", "answer"):
        if f"{{{{{variable}}}}}" not in trait.rubric:
            raise DataError(
                f"does not show {{{{{variable}}}}} to the judge",
                source=source,
                field="rubric",
                cure="put both variables into it, between the tags of data.",
            )
    return trait


def parse_trait(template: PromptTemplate, source: str) -> Trait:
    """A trait from its parsed file.

    Raises:
        DataError: as `made_trait`, or the instructions do not come in pairs.
    """
    missing = [name for name in SECTIONS if not template.sections.get(name, "").strip()]
    if missing:
        raise DataError(
            f"has no section {', '.join(missing)}; expected {', '.join(SECTIONS)}", source=source, cure=_CURE
        )
    return made_trait(
        source,
        name=template.name.rpartition("/")[2],
        description=template.sections["description"],
        contrasts=_contrasts(template.sections["instructions"], source),
        extraction=_lines(template.sections["extraction"]),
        evaluation=_lines(template.sections["evaluation"]),
        rubric=template.sections["rubric"],
    )


def trait_names() -> list[str]:
    """Names of the shipped traits."""
    return [name.removeprefix(FOLDER) for name in prompt_names() if name.startswith(FOLDER)]


def load_trait(name: str | Path) -> Trait:
    """A shipped trait by name, or a file of one's own by path.

    Raises:
        UnknownNameError: neither; lists the names there are.
        PromptError: the file has no header, or cannot be read.
        DataError: its parts do not fit together, e.g. a question is in both sets.
    """
    text = str(name)
    if text in trait_names():
        return parse_trait(load_prompt(FOLDER + text), FOLDER + text)
    if not Path(text).is_file():
        raise UnknownNameError("trait", text, trait_names())
    return parse_trait(load_prompt(text), text)


def write_trait(trait: Trait, path: Path) -> None:
    """Write a trait as a file that `load_trait` reads.

    Raises:
        DataError: the place cannot be written.
    """
    instructions = [f"+ {_flat(pair.positive)}\n- {_flat(pair.negative)}" for pair in trait.contrasts]
    bodies = {
        "description": trait.description,
        "instructions": "\n".join(instructions),
        "extraction": "\n".join(f"- {_flat(question)}" for question in trait.extraction),
        "evaluation": "\n".join(f"- {_flat(question)}" for question in trait.evaluation),
        "rubric": trait.rubric,
    }
    text = "\n\n".join(f"## {name}\n{body.strip()}" for name, body in bodies.items())
    write_whole(
        path, f"---\nname: {_flat(trait.name)}\nversion: 1\nvariables: question, answer\n---\n{text}\n"
    )


def _template(name: str, sections: dict[str, str]) -> PromptTemplate:
    return PromptTemplate(name, 1, frozenset({"question", "answer"}), sections)


def _check_questions(trait: Trait, source: str) -> None:
    """Refuse a question that is in both sets, or twice in one; case and punctuation do not tell apart."""
    for name in ("extraction", "evaluation"):
        counts = Counter(_words(question) for question in getattr(trait, name))
        if twice := [question for question in getattr(trait, name) if counts[_words(question)] > 1]:
            raise DataError(
                f"asks {twice[0]!r} twice",
                source=source,
                field=name,
                cure="ask each question once.",
            )
    known = {_words(question) for question in trait.extraction}
    if both := [question for question in trait.evaluation if _words(question) in known]:
        raise DataError(
            f"{len(both)} of {len(trait.evaluation)} evaluation questions are extraction questions too, e.g. "
            f"{both[0]!r}; expected two disjoint sets",
            source=source,
            field="evaluation",
            cure="replace them: a vector is never evaluated on what it was made from.",
        )


def _contrasts(text: str, source: str) -> list[Contrast]:
    lines = [line for line in text.splitlines() if line.strip()]
    signs = "".join(line[:1] for line in lines)
    if not lines or signs != "+-" * (len(lines) // 2) or not all(line[1:].strip() for line in lines):
        raise DataError(
            "expected lines that begin with + and - by turns, a positive instruction and then its negative",
            source=source,
            field="instructions",
            cure=_CURE,
        )
    texts = [line[1:].strip() for line in lines]
    return [
        Contrast(positive=positive, negative=negative)
        for positive, negative in zip(texts[::2], texts[1::2], strict=True)
    ]


def _lines(text: str) -> list[str]:
    return [line.removeprefix("-").strip() for line in text.splitlines() if line.removeprefix("-").strip()]


def _flat(text: str) -> str:
    return " ".join(text.split())


def _words(question: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", question.lower()))


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
