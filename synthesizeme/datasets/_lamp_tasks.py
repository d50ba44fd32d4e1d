"""The seven tasks of LaMP: what is asked, what a past item holds, what retrieves it, what may be answered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from synthesizeme.errors import UnknownNameError

Kind = Literal["reference", "label", "score", "text"]
TAGS = (
    "sci-fi", "based on a book", "comedy", "action", "twist ending", "dystopia", "dark comedy", "classic",
    "psychology", "fantasy", "romance", "thought-provoking", "social commentary", "violence", "true story",
)  # fmt: skip
"""The labels of task 2."""
SCORES = ("1", "2", "3", "4", "5")
"""The labels of task 3."""
REFERENCES = ("[1]", "[2]")
"""The answers of task 1."""
_TWO = re.compile(r"\[1\]:\s*\"(.*?)\"\s*,?\s*(?:and\s+)?\[2\]:\s*\"(.*)\"", re.DOTALL)
_QUOTED = re.compile(r"\"(.*?)\"", re.DOTALL)


@dataclass(frozen=True)
class LampTask:
    """One task.

    References:
        Salemi et al. (2024), LaMP, arXiv 2304.11406, section 3 and its table of tasks.
    """

    number: int
    """1 to 7."""
    about: str
    """What is personalized."""
    kind: Kind
    """What an answer is: which of two references, one of the labels, a score, or free text."""
    fields: tuple[str, ...]
    """What an item of the profile must hold."""
    documents: tuple[str, ...]
    """Fields by which an item is retrieved."""
    answer: str
    """Field that holds what the user made of it."""
    source: str
    """Field that it was made of; empty where an item is the answer alone."""
    marker: str
    """What stands before the query in an input; only its first occurrence counts."""
    request: str
    """How an item's source is asked about; ends with the marker."""
    labels: tuple[str, ...] = ()
    """All answers there are, for the tasks that have a fixed set."""

    @property
    def name(self) -> str:
        """Name in the output files."""
        return f"LaMP_{self.number}"

    def query(self, text: str) -> str:
        """phi_q: the part of an input that says what it is about; all of it where the marker is missing."""
        if self.kind == "reference":
            return " ".join(self.references(text) or (text,))
        _, found, rest = text.partition(self.marker)
        return rest.strip() if found and rest.strip() else text

    def references(self, text: str) -> tuple[str, str] | None:
        """The two references of an input of task 1; None where there are not two."""
        match = _TWO.search(text)
        return (match[1], match[2]) if match else None

    def title_asked(self, text: str) -> str:
        """The paper that an input of task 1 is about; empty where it names none."""
        match = _QUOTED.search(text.partition("[1]:")[0])
        return match[1] if match else ""

    def document(self, item: Mapping[str, str]) -> str:
        """phi_i: the text by which an item is retrieved."""
        return " ".join(item[field] for field in self.documents)


TASKS = {
    task.number: task
    for task in (
        LampTask(
            1, "citation identification", "reference", ("title", "abstract"), ("title", "abstract"), "title",
            "", "", "", REFERENCES,
        ),
        LampTask(
            2, "movie tagging", "label", ("description", "tag"), ("description",), "tag", "description",
            "description:", f"Give this film one of the tags {', '.join(TAGS)}. description:", TAGS,
        ),
        LampTask(
            3, "product rating", "score", ("text", "score"), ("text",), "score", "text",
            "review:", "Give this review the score, from 1 to 5, that its writer gave. review:", SCORES,
        ),
        LampTask(
            4, "news headline generation", "text", ("text", "title"), ("title", "text"), "title", "text",
            "article:", "Write a headline for this article:",
        ),
        LampTask(
            5, "scholarly title generation", "text", ("title", "abstract"), ("title", "abstract"), "title",
            "abstract", "paper:", "Write a title for the abstract of this paper:",
        ),
        LampTask(
            6, "email subject generation", "text", ("text", "title"), ("title", "text"), "title", "text",
            ":", "Write a subject for this email:",
        ),
        LampTask(
            7, "tweet paraphrasing", "text", ("text",), ("text",), "text", "", ":", "Write this as a tweet:",
        ),
    )
}  # fmt: skip
"""By number."""


def lamp_task(name: str | int) -> LampTask:
    """A task by its number, or by a name such as ``lamp/4`` or ``LaMP_4``.

    Raises:
        UnknownNameError: there is no such task.
    """
    match = re.fullmatch(r"(?:lamp(?:-time)?[/_])?([1-7])", str(name).strip().lower())
    if match is None:
        raise UnknownNameError("LaMP task", str(name), [f"lamp/{number}" for number in TASKS])
    return TASKS[int(match[1])]
