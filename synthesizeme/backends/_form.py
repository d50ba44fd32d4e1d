"""What kind of reply a question wants, and what is asked where a reply cannot be read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from synthesizeme.backends._answer import Answer

Structure = Literal["auto", "json", "words", "continue"]
"""How replies are held to their form: ``words`` by the prompt alone, ``json`` by a JSON schema that the
endpoint enforces, ``continue`` by beginning the model's own turn, ``auto`` by the prompt and by more where
that fails."""
STRUCTURES: tuple[Structure, ...] = get_args(Structure)
Way = Literal["words", "json", "continue"]
"""How one question is sent."""
_MARKS = r"[\s\"'*_`()\[\]]*"
_WORD_ENDS = r"(?:\Z|[.!;:\n]|(?:response|answer|one|option)\b|,?\s*(?:because|since|as)\b|(?<=\n))"
_QUOTED = 4000
"""Most characters of a reply that are quoted when it is asked about; the last ones count."""


def _any(answer: Answer) -> bool:
    return bool(answer.text.strip())


def _never(text: str) -> bool:
    return False


def _whole(text: str) -> str:
    return text


@dataclass(frozen=True)
class Form:
    """The form of a reply, and how to tell whether a reply has it. Forms of one name and schema are equal."""

    name: str
    """What is sought, in a word; also the schema's name."""
    schema: str = ""
    """JSON schema of the reply, as text; empty where there is none. What is thought first stands first."""
    opening: str = ""
    """How the model's own turn begins where it is continued, e.g. ``Preference:``; empty where it is not."""
    words: tuple[str, ...] = ()
    """The words of which one follows `opening`; empty for a number."""
    mending: str = ""
    """What is asked about a reply that cannot be read; empty where nothing is."""
    least_readable: float = field(default=0.0, compare=False)
    """Share of a session's replies that has to be readable for it to go on; 0 insists on none."""
    readable: Callable[[Answer], bool] = field(default=_any, compare=False, repr=False)
    """Whether an answer can be read. Only such answers are final."""
    refuses: Callable[[str], bool] = field(default=_never, compare=False, repr=False)
    """Whether a reply that cannot be read refuses to answer: it is not asked about."""
    said: Callable[[str], str] = field(default=_whole, compare=False, repr=False)
    """A reply without the thoughts before it."""

    @property
    def has_ways(self) -> bool:
        """Whether there is another way to such a reply than to ask for it in words."""
        return bool(self.schema or self.opening)

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes it another question."""
        return self.name, self.schema, self.opening, self.words, self.mending

    def quoted(self, reply: str) -> str:
        """The end of a reply, without thoughts, to be quoted or gone on from; never blank."""
        return self.said(reply).strip()[-_QUOTED:] or "..."

    def continued(self, text: str) -> str:
        """What follows `opening` in the continuation of a turn: the word, or the number with its scale.

        Empty where it begins with neither: the turn was not continued, or not as it should be. A word counts
        where the sentence ends after it, or gives its reason: "First or Second" and "First of all" choose
        nothing.
        """
        if self.words:
            choice = "|".join(map(re.escape, self.words))
            found = re.match(
                rf"{_MARKS}(?:the\s+)?(?:{choice})\b(?={_MARKS}{_WORD_ENDS})", text, re.IGNORECASE
            )
        else:
            found = re.match(r"[\s\"'*_`(\[]*\d(?:[^\n,;]|[,;](?=\d))*", text)
        return found[0] if found else ""
