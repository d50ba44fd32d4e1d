"""``persona``: what is believed of a person, for that person to see and to correct."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthesizeme.cli._command import argument, option, verb
from synthesizeme.cli._options import JUDGE_PROMPT, KEY_FILE, PROFILES, CommonOptions
from synthesizeme.cli._output import tell
from synthesizeme.errors import ConfigError
from synthesizeme.plain_text import printable

if TYPE_CHECKING:
    from synthesizeme.profile import Correction, PersonaSentence, UserProfile


@dataclass(frozen=True)
class PersonaOptions:
    """Whose persona, and where it is."""

    store: str | None = PROFILES()
    user: str | None = option(None, "Whose persona; may be left out where there is one.", "ID")
    key_file: Path | None = KEY_FILE()

    @property
    def place(self) -> str:
        """Where it is.

        Raises:
            ConfigError: that is not said.
        """
        if self.store is None:
            raise ConfigError("--store is missing: where the profile is, e.g. --store out")
        return self.store

    def load(self) -> UserProfile:
        """The profile."""
        from synthesizeme.personas.judging_profile import load_profile

        return load_profile(self.place, self.user, key_file=self.key_file)

    def since(self, profile: UserProfile) -> list[PersonaSentence]:
        """How each sentence fared in the choices that a store has had since it was written."""
        from synthesizeme.personas.since import read_since
        from synthesizeme.profiles import open_profiles
        from synthesizeme.profiles.views import StoredProfiles

        with open_profiles(self.place, key_file=self.key_file) as profiles:
            pairs = profiles.store.pairs(profile.user_id) if isinstance(profiles, StoredProfiles) else ()
        return read_since(profile, pairs)


def _number() -> Any:
    return argument(..., "Number of the sentence, as `persona show` lists it.", "N")


def _text() -> Any:
    return argument(..., "The sentence, in the person's own words.", "SENTENCE")


@verb
def show(options: PersonaOptions, common: CommonOptions) -> None:
    """Show what is believed of a person: numbered sentences, whose words they are, how they fared."""
    _tell(options.load(), options, as_json=common.json)


@verb
def add(
    options: PersonaOptions, common: CommonOptions, text: str = _text(), judge_prompt: str = JUDGE_PROMPT()
) -> None:
    """Add a sentence of the person's own; no later induction overwrites it.

    A sentence that was struck may be said again this way.
    """
    from synthesizeme.personas import owner

    _correct(options, lambda profile: owner.add(profile, text), judge_prompt, common)


@verb
def edit(
    options: PersonaOptions,
    common: CommonOptions,
    number: int = _number(),
    text: str = _text(),
    judge_prompt: str = JUDGE_PROMPT(),
) -> None:
    """Put a sentence in the person's own words; the old wording does not come back."""
    from synthesizeme.personas import owner

    _correct(options, lambda profile: owner.edit(profile, number, text), judge_prompt, common)


@verb
def pin(
    options: PersonaOptions,
    common: CommonOptions,
    number: int = _number(),
    off: bool = option(False, "Let go of it: the next induction decides again."),
    judge_prompt: str = JUDGE_PROMPT(),
) -> None:
    """Keep a sentence as it is, whatever a later induction finds."""
    from synthesizeme.personas import owner

    _correct(options, lambda profile: owner.pin(profile, number, off=off), judge_prompt, common)


@verb
def strike(
    options: PersonaOptions,
    common: CommonOptions,
    number: int = _number(),
    judge_prompt: str = JUDGE_PROMPT(),
) -> None:
    """Strike a sentence; no later induction says it again, in these words or in others for the same."""
    from synthesizeme.personas import owner

    _correct(options, lambda profile: owner.strike(profile, number), judge_prompt, common)


@verb
def history(options: PersonaOptions, common: CommonOptions) -> None:
    """List what the person added, edited, pinned and struck, and when."""
    found = options.load()
    done = [it.model_dump(mode="json") for it in found.corrections]
    lines = map(_done, found.corrections) if done else ["Nothing was corrected."]
    tell(common.json, {"user_id": found.user_id, "history": done}, lines)


def _correct(
    options: PersonaOptions,
    change: Callable[[UserProfile], UserProfile],
    judge_prompt: str,
    common: CommonOptions,
) -> None:
    """Make a change where the profile is kept, and show what is believed then."""
    from synthesizeme.personas.owner import correct

    done = correct(options.place, options.user, change, key_file=options.key_file, judge_prompt=judge_prompt)
    _tell(done, options, as_json=common.json)


def _tell(profile: UserProfile, options: PersonaOptions, *, as_json: bool) -> None:
    from synthesizeme.personas.owner import shown

    since = options.since(profile)
    tell(as_json, shown(profile, since), _lines(profile, since))


def _lines(profile: UserProfile, since: Sequence[PersonaSentence]) -> Iterator[str]:
    from synthesizeme.personas.documents import behind

    persona = profile.persona
    yield f"What is believed of {printable(profile.user_id, 80)}:"
    if persona is None:
        yield "  nothing yet; `persona add` says something"
    for number, it in enumerate(persona.statements if persona else (), 1):
        if persona and number == len(persona.sentences) + 1:
            yield "like most people:"
        yield f"{number:>3}. {printable(it.text)}"
        yield from (f"     {printable(line)}" for line in behind(it, profile.provenance))
        if since and (record := since[number - 1].record):
            yield f"     {record if it.silent is None else f'since it was written {record}'}"
    if profile.struck:
        yield "struck, and not said again:"
        yield from (f"   - {printable(text)}" for text in profile.struck)


def _done(it: Correction) -> str:
    was = "" if it.before is None else f"  (was: {printable(it.before)})"
    return f"{it.at:%Y-%m-%d %H:%M:%S} UTC  {it.kind:<8}  {printable(it.text)}{was}"


HELP = "What is believed of a person, and the person's own hand in it: own and pinned sentences stay."
VERBS = {"show": show, "add": add, "edit": edit, "pin": pin, "strike": strike, "history": history}
