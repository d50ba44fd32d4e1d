"""What a team asks of whom: a folder with ``project.toml``, and invitations by link, a token each.

::

    title = "Which answer helps more?"
    pool = "pool.jsonl"            # of any format that the importers know; relative to the folder
    gold = "gold.jsonl"            # pairs whose better answer is known, mixed in; may be left out
    guidelines = "..."             # Markdown, shown before the first question
    agreement = "..."              # what an annotator agrees to; by default says where choices are kept
    licence = "CC-BY-4.0"          # of what is exported
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from synthesizeme.errors import ConfigError, DataError
from synthesizeme.files import write_whole
from synthesizeme.plain_text import printable

FILE, INVITATIONS = "project.toml", "invitations.json"
_TEXTS = ("title", "pool", "gold", "guidelines", "agreement", "licence")
LONGEST_NAME = 64
"""Characters of an annotator's name."""


@dataclass(frozen=True)
class Project:
    """What is asked, and on which terms."""

    title: str = "Your taste, in your words"
    """What the page is called."""
    pool: Path | None = None
    """What people are asked about; None: the sample that is shipped."""
    gold: Path | None = None
    """Pairs whose better answer is known."""
    guidelines: str = ""
    """Markdown that is shown before the first question."""
    agreement: str = ""
    """What a person agrees to."""
    licence: str | None = None
    """Licence of what is exported."""

    def terms(self, kept_in: str, model: str | None) -> str:
        """What a person is told and agrees to, in Markdown.

        Args:
            kept_in: Where choices are kept, in words.
            model: A language model elsewhere that reads them; None where none does.
        """
        if self.agreement:
            return self.agreement
        reader = (
            f"The language model `{model}` is sent questions, answers, your choices and your reasons."
            if model
            else "Nothing of it leaves this computer."
        )
        return (
            "You are shown questions with answers, and say which you like better. What you choose, when, "
            f"and the reasons that you type are kept in {kept_in}. {reader} From your choices, sentences "
            "about your taste are written. You can see and correct them, take everything with you, and "
            "delete it, at any time."
        )


def terms_id(terms: str) -> str:
    """12 hex digits that stand for what was agreed to."""
    return hashlib.sha256(terms.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def read_project(folder: Path) -> Project:
    """The project of a folder.

    Raises:
        ConfigError: there is no ``project.toml``, or it is wrong; lists all problems.
    """
    path = folder / FILE
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"--project {folder}: {FILE} cannot be read: {error}") from None
    problems = [f"--project {folder}: {name[:40]!r} is no key; expected {', '.join(_TEXTS)}"
                for name in found if name not in _TEXTS]  # fmt: skip
    problems += [
        f"--project {folder}: {name} is {value!r:.60}; expected text that is not blank"
        for name, value in found.items()
        if name in _TEXTS and not (isinstance(value, str) and value.strip())
    ]
    if problems:
        raise ConfigError(problems)
    places = {name: folder / found[name] for name in ("pool", "gold") if name in found}
    texts: dict[str, Any] = {name: found[name] for name in found if name not in places}
    return Project(**texts, **places)


class Invitations:
    """Annotators by the token of their link; the file holds digests, no token.

    Args:
        folder: Of the project; None for none, where nobody can be invited.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / INVITATIONS
        self._lock = threading.Lock()
        self._digests: dict[str, dict[str, str]] = {}
        if self._path is not None and self._path.exists():
            self._digests = self._read(self._path)

    @property
    def open(self) -> bool:
        """Whether people can be invited."""
        return self._path is not None

    @property
    def names(self) -> list[str]:
        """Who is invited, in the order of their invitations."""
        return list(self._digests)

    def invite(self, name: str) -> str:
        """A token for an annotator; one that the same annotator had before opens nothing any more.

        Raises:
            DataError: nobody can be invited here, or the name is blank, too long or cannot be printed.
        """
        name = name.strip()
        if self._path is None:
            raise DataError("this page has no project", field="name", cure="start it with --project DIR")
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            problem = f"found {printable(name, 40)!r}; expected a name of at most {LONGEST_NAME} characters"
            raise DataError(problem, field="name", cure="give another name")
        token = secrets.token_urlsafe(24)
        made = {"sha256": _digest(token), "made": datetime.now(UTC).isoformat(timespec="seconds")}
        with self._lock:
            self._write({**self._digests, name: made})
        return token

    def revoke(self, name: str) -> None:
        """Let an annotator in no more; what they said stays."""
        with self._lock:
            self._write({it: made for it, made in self._digests.items() if it != name})

    def name_of(self, token: str) -> str | None:
        """Whose token it is; it takes the same time whoever's it is."""
        given, found = _digest(token), None
        for name, made in self._digests.items():
            if hmac.compare_digest(made["sha256"], given):
                found = name
        return found

    def _write(self, digests: dict[str, dict[str, str]]) -> None:
        assert self._path is not None
        write_whole(self._path, json.dumps(digests, indent=1, ensure_ascii=False) + "\n")
        self._digests = digests

    @staticmethod
    def _read(path: Path) -> dict[str, dict[str, str]]:
        try:
            found: Any = json.loads(path.read_text(encoding="utf-8"))
            return {str(name): {"sha256": str(made["sha256"]), "made": str(made["made"])}
                    for name, made in found.items()}  # fmt: skip
        except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
            problem = f"cannot be read: {type(error).__name__}"
            raise DataError(problem, source=str(path), cure="remove it and invite anew") from None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
