"""What was learned about one user: persona, demonstrations, and where they came from."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from synthesizeme import display
from synthesizeme.plain_text import count
from synthesizeme.types import Demonstration, Evidence, Frozen, Usage

PROFILE_VERSION = 1


class Quote(Frozen):
    """A choice of the user in a few words."""

    pair_id: str
    """The pair."""
    asked: str
    """How the last user turn begins."""
    chosen: str
    """How the chosen response begins."""
    rejected: str
    """How the other response begins."""
    held: bool
    """Whether the statement it stands under held in it."""
    reason: str = ""
    """How the reason begins that the user gave for the choice; empty where none was given."""


class PersonaSentence(Frozen):
    """One statement about the user, what supports it, and how it fared against the user's choices."""

    text: str = Field(min_length=1)
    """The sentence."""
    pair_ids: tuple[str, ...] = ()
    """Pairs in which it held, those first that the writer cited; where it was never tried, those cited."""
    against: tuple[str, ...] = ()
    """Pairs in which it was contradicted: it spoke for the response that the user did not choose."""
    silent: int | None = Field(default=None, ge=0)
    """Pairs in which it spoke for neither response; None where it was never tried."""
    gain: float = 0.0
    """By how much it raises the probability of the user's choices, on average, over what is true of anybody
    and what the other statements say, in [-1, 1]."""
    quotes: tuple[Quote, ...] = ()
    """Two choices in which it held, and one in which it did not, as far as there are any."""
    evidence: tuple[str, ...] = ()
    """Features of the evidence it cited for it; see `Provenance.evidence`."""
    own_words: tuple[str, ...] = ()
    """How each text begins that it cited of what the user wrote beside choices."""
    repeats: int = Field(default=0, ge=0)
    """How many further statements of the writer said the same and were merged into this one."""
    by: Literal["writer", "owner"] = "writer"
    """Whose words they are: the model's, or those of the person described."""
    pinned: bool = False
    """Whether the person described wants it to stay."""

    @property
    def kept(self) -> bool:
        """Whether it stays whatever a later induction finds: a person's own sentences do, and pinned ones."""
        return self.by == "owner" or self.pinned

    @property
    def supported(self) -> bool:
        """Whether it names anything that it rests on."""
        return bool(self.pair_ids or self.evidence or self.own_words)

    @property
    def record(self) -> str:
        """How it fared: ``held in 13 of 16 choices where it applied``; empty if it was never tried."""
        if self.silent is None:
            return ""
        held, applied = len(self.pair_ids), len(self.pair_ids) + len(self.against)
        if not applied:
            return f"applied in none of {count(self.silent, 'choice')}"
        return f"held in {held} of {count(applied, 'choice')} where it applied"


class Persona(Frozen):
    """A user in plain words."""

    sentences: tuple[PersonaSentence, ...] = ()
    """What sets the user apart: the person's own and pinned sentences in their order, then the strongest
    first."""
    common: tuple[PersonaSentence, ...] = ()
    """What holds of the user as of most people, shortly."""
    made_by: str
    """Model that wrote it."""
    prompt_id: str
    """Name, version and hash of the persona-writing prompt (Theta)."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.statements:
            raise ValueError("a persona has no sentence; expected one at least, or no persona")
        return self

    @property
    def statements(self) -> tuple[PersonaSentence, ...]:
        """All sentences, in the order in which they are numbered from 1."""
        return (*self.sentences, *self.common)

    @property
    def text(self) -> str:
        """The sentences, one per line, as they enter a prompt."""
        return "\n".join(sentence.text for sentence in self.statements)


class Correction(Frozen):
    """What the person described did to the persona."""

    at: datetime
    """When, UTC."""
    kind: Literal["added", "edited", "pinned", "unpinned", "struck"]
    """What was done."""
    text: str
    """The sentence; as it is since, where it was edited."""
    before: str | None = None
    """The sentence as it was before it was edited."""


class Candidate(Frozen):
    """One configuration that the selection tried, and how it fared."""

    name: str
    """What it was, e.g. ``persona + 4 demonstrations``."""
    shrunken_gain: float
    """What selection ranked by: gain in accuracy over the judge it was compared with, in [-1, 1]."""
    standard_error: float = 0.0
    """Of the shrunken gain; 0 where nothing was compared."""
    correct: float
    """Verdicts that agreed with the user; a tie counts half."""
    judged: int
    """Verdicts it got."""
    failures: int = 0
    """Questions that got no verdict."""
    selected: bool = False
    """Whether the profile uses it."""


class Averaging(Frozen):
    """Judgements whose mean is taken instead of one: it is the better bet by the user's validation pairs."""

    samples: int = Field(default=1, ge=1)
    """Judgements of the user's own judge, each a sample of its own where the model draws its replies."""
    neighbours: tuple[str, ...] = ()
    """Personas of other users, as they enter a prompt: under each of them one judgement more is asked for."""
    gain: float = 0.0
    """Mean gain in accuracy over one judgement on these pairs, in [-1, 1]."""
    pairs: int = Field(default=0, ge=0)
    """Validation pairs on which it was chosen."""

    @property
    def calls(self) -> int:
        """Calls that one comparison takes in one order."""
        return self.samples + len(self.neighbours)

    @property
    def text(self) -> str:
        """The same in a line: what is averaged, what it takes and what it gained."""
        beside = f" and {count(len(self.neighbours), 'neighbour')}" if self.neighbours else ""
        return (
            f"averaged over {count(self.samples, 'sample')}{beside}: {2 * self.calls} calls a pair, both "
            f"orders together; {100 * self.gain:+.1f} points on {count(self.pairs, 'validation pair')}"
        )


class Caution(Frozen):
    """A reason not to rely on a profile; the rules are in `synthesizeme.personas.cautions`."""

    kind: Literal["inconsistent", "chance", "repetition"]
    """What is wrong: verdicts that turn with the order, or are at chance, or statements that repeat."""
    text: str
    """The same in a sentence, with its numbers and what to do."""
    figures: dict[str, int | float]
    """The numbers, by name; shares in [0, 1]."""


class Provenance(Frozen):
    """How a profile was made, enough to make it again."""

    model: str
    """Model that judged and wrote."""
    model_kind: str
    """What that model is in plain words."""
    settings: dict[str, str | int | float | None] = Field(default_factory=dict)
    """How the model was asked: address, temperature, most tokens, prompts, call budget."""
    search: str
    """``economical`` or ``paper``."""
    effort: str
    """``low``, ``medium`` or ``high``."""
    seed: int
    """Seed of every random choice."""
    split_rule: str
    """How pairs were split: given in the rows, or drawn here."""
    splits: dict[str, str] = Field(default_factory=dict)
    """Split of every pair of this user, by pair id."""
    data_fingerprint: str = ""
    """SHA-256 over the user's pairs."""
    taste_p_value: float | None = None
    """How often somebody who chooses as anybody does would differ as much; above `APART_LEVEL` no
    statement is sought. None where that was not tested."""
    traces_judged: int = 0
    """Verdicts on train pairs, to bootstrap reasoning."""
    traces_verified: int = 0
    """Of those, how many agreed with the user."""
    candidates: tuple[Candidate, ...] = ()
    """Everything selection tried."""
    evidence: tuple[Evidence, ...] = ()
    """What a reward model told the persona writer about this user, in the order of the markers E1, E2, ..."""
    usage: Usage = Usage()
    """Calls of the induction, whether or not the disk cache answered them."""
    failures: dict[str, int] = Field(default_factory=dict)
    """Failed calls by kind."""
    notes: tuple[str, ...] = ()
    """Anything a reader should know, e.g. a fall-back that was used."""


class UserProfile(Frozen):
    """One user. Round-trips to one JSON document."""

    user_id: str
    """Whose profile it is."""
    persona: Persona | None = None
    """What kind of user this is; None when the pairs support no statement."""
    demonstrations: tuple[Demonstration, ...] = ()
    """The past choices that teach a judge best."""
    averaging: Averaging | None = None
    """How often a judge is asked about each comparison; None: once."""
    cautions: tuple[Caution, ...] = ()
    """Reasons not to rely on it; empty when nothing speaks against it."""
    struck: tuple[str, ...] = ()
    """Sentences that the person described does not want said: those struck, and the old wording of those
    edited. No induction says them again."""
    corrections: tuple[Correction, ...] = ()
    """What that person did to the persona, oldest first."""
    version: int = PROFILE_VERSION
    """Version of this document's format."""
    provenance: Provenance | None = None
    """How it was made; None for a profile written by hand."""

    def __repr__(self) -> str:
        said = self.persona and f"persona of {count(len(self.persona.sentences), 'sentence')}"
        known = [said or "no persona", count(len(self.demonstrations), "demonstration")]
        known += [f"caution: {caution.kind}" for caution in self.cautions]
        return f"{type(self).__name__}({self.user_id[:60]!r}, {', '.join(known)})"

    def _repr_html_(self) -> str:
        made = self.provenance
        by = f"by {made.model}, {made.effort} effort, {made.usage.distinct_calls} calls" if made else ""
        sentences = () if self.persona is None else self.persona.sentences
        shown = [(it.text, it.record or ", ".join((*it.pair_ids, *it.evidence))) for it in sentences]
        return display.block(
            display.heading(self.user_id, by),
            display.bullets(shown) or display.note("no persona: the choices support no statement"),
            display.note(f"{len(self.demonstrations)} past choices are shown to a judge"),
            display.bullets((f"Caution: {caution.text}", "") for caution in self.cautions),
            display.bullets((f"Note: {text}", "") for text in (made.notes if made else ())),
        )

    def to_json(self) -> str:
        """The profile as an indented JSON document."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a document written by `to_json`.

        Raises:
            pydantic.ValidationError: the text is not such a document.
        """
        return cls.model_validate_json(text)

    def without(self, *, persona: bool = False, demonstrations: bool = False) -> Self:
        """A copy with parts removed, for ablations; a part alone is judged once, without averages."""
        update: dict[str, Any] = {"averaging": None} if persona or demonstrations else {}
        if persona:
            update["persona"] = None
        if demonstrations:
            update["demonstrations"] = ()
        return self.model_copy(update=update)


APART_LEVEL = 0.2
"""Share of users without a taste of their own who may nevertheless seem to have one."""


class OwnTaste(Frozen):
    """Whether a user's choices differ from those predicted of anybody, and in what."""

    p_value: float = Field(gt=0.0, le=1.0)
    """How often somebody who chooses as anybody does would differ as much, over all features together."""
    own: tuple[Evidence, ...] = ()
    """What the user likes more than most people, the surest first; empty unless `set_apart`."""
    anybody: dict[str, float] = Field(default_factory=dict, repr=False)
    """The calibrated probability of each of the user's choices for anybody, by pair id, in (0, 1); what was
    learned from this user is left out of it."""
    common: tuple[Evidence, ...] = ()
    """What the user likes as most people do, the surest first: the sum of both weights is clear of zero, and
    gives the statement its direction, and the user's `weight` is not clear. Empty unless `set_apart`."""

    def __repr__(self) -> str:
        own = ", ".join(item.statement for item in self.own[:3]) or "nothing that sets apart"
        return f"OwnTaste({own}; p = {self.p_value:.3f})"

    def _repr_html_(self) -> str:
        return display.own_taste(self)

    @property
    def set_apart(self) -> bool:
        """Whether the user shows any taste of their own, at the level `APART_LEVEL`."""
        return self.p_value <= APART_LEVEL
