"""Reasons not to rely on a profile, found in what is known of it anyway: no further call is made.

- ``inconsistent``: fewer than `LEAST_CONSISTENT` of at least `FEW_ORDERED` pairs got the same choice in both
  orders. A judge that looks at the place alone has 0, one that tosses a coin 50 %.
- ``chance``: of at least `FEW_JUDGED` pairs, the 95 % interval of the share of verdicts that agree with the
  user (Wilson's, the pairs as its trials) does not lie above 50 %.
- ``repetition``: the writer said the same again, and `without_repetition` merged it.

Verdicts are those of the whole profile on test pairs, where it was measured on enough of them. Else both
orders are those of the validation pairs, judged as demonstrations were selected, and agreement is that on
train pairs judged with the persona, which was written from them: what is at chance there is so anywhere.

References:
    Wilson (1927), Probable inference, the law of succession, and statistical inference.
"""

from __future__ import annotations

import math
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from synthesizeme.discovery import resource
from synthesizeme.evaluation.harness import Outcome
from synthesizeme.profile import Caution, Persona, PersonaSentence, UserProfile
from synthesizeme.types import ORDERS, Order

Profile = TypeVar("Profile", bound=UserProfile)

LEAST_CONSISTENT = 0.6
"""Share of pairs with the same choice in both orders below which a judge is inconsistent."""
FEW_ORDERED, FEW_JUDGED = 4, 6
"""Pairs below which nothing is said of consistency, and of chance: five of five are no proof."""
KINDS = ("inconsistent", "chance", "repetition")
"""In the order in which they are told."""
_Z = 1.959964
"""Standard errors of a 95 % interval."""


@dataclass(frozen=True)
class Verdicts:
    """What is known of a judge's verdicts about one user's own pairs."""

    on: str
    """Which pairs, e.g. ``test``."""
    ordered: int = 0
    """Pairs with a verdict in both orders."""
    consistent: int = 0
    """Of those, pairs with the same choice in both."""
    judged: int = 0
    """Pairs whose verdicts say something of the profile."""
    correct: float = 0.0
    """Of those, how many agreed with the user; a tie, or one of two orders, counts half."""


def in_both_orders(scores: Mapping[tuple[str, Order], float]) -> tuple[int, int]:
    """Of pairs with a score in both orders, how many there are and how many have the same in both.

    Args:
        scores: By pair id and order, 1 for agreement with the user, .5 for a tie, 0 against.
    """
    pairs = dict.fromkeys(pair_id for pair_id, _ in scores)
    both = [
        {scores[pair_id, order] for order in ORDERS}
        for pair_id in pairs
        if all((pair_id, order) in scores for order in ORDERS)
    ]
    return len(both), sum(len(different) == 1 for different in both)


def measured(outcome: Outcome) -> Verdicts:
    """What an evaluation on test pairs says."""
    both = [pair.consistent for pair in outcome.pairs if pair.consistent is not None]
    return Verdicts("test", len(both), sum(both), len(outcome.answered), sum(outcome.scores.values()))


def with_cautions(profile: Profile, verdicts: Verdicts) -> Profile:
    """The profile with the cautions that its statements and these verdicts ask for.

    Cautions of the profile about which the verdicts are too few to say anything stay.
    """
    spoken = {"repetition"}
    spoken |= {"inconsistent"} if verdicts.ordered >= FEW_ORDERED else set()
    spoken |= {"chance"} if verdicts.judged >= FEW_JUDGED else set()
    found = [caution for caution in profile.cautions if caution.kind not in spoken]
    found += [*_of_verdicts(verdicts), *_of_statements(profile.persona)]
    told = tuple(sorted(found, key=lambda caution: KINDS.index(caution.kind)))
    return profile.model_copy(update={"cautions": told})


def _of_verdicts(found: Verdicts) -> Iterator[Caution]:
    n = found.ordered
    if n >= FEW_ORDERED and found.consistent < LEAST_CONSISTENT * n:
        share = found.consistent / n
        yield Caution(
            kind="inconsistent",
            text="the judge's choice turns with the order: it was the same in both for "
            f"{found.consistent} of {n} pairs ({100 * share:.0f} %, expected {100 * LEAST_CONSISTENT:.0f} or "
            "more). Cure: another model, or another judge prompt",
            figures={
                "pairs": n,
                "consistent": found.consistent,
                "share": share,
                "expected": LEAST_CONSISTENT,
            },
        )
    n = found.judged
    if n >= FEW_JUDGED:
        share = found.correct / n
        low, high = _wilson(share, n)
        if low <= 0.5:
            yield Caution(
                kind="chance",
                text=f"the judge's verdicts cannot be told from chance: {100 * share:.0f} % of those on {n} "
                f"{found.on} pairs agree with the user, 95 % interval {100 * low:.0f} to {100 * high:.0f}. "
                "Cure: more pairs, or another model",
                figures={"pairs": n, "accuracy": share, "low": low, "high": high},
            )


def _of_statements(persona: Persona | None) -> Iterator[Caution]:
    sentences = persona.sentences if persona else ()
    repeated = sum(sentence.repeats for sentence in sentences)
    if repeated:
        written = len(sentences) + repeated
        yield Caution(
            kind="repetition",
            text=f"the statements repeat each other: {written} were written, and {len(sentences)} "
            f"{'is' if len(sentences) == 1 else 'are'} left after those that say the same were merged. Cure: "
            "another model, or another persona prompt",
            figures={"written": written, "left": len(sentences)},
        )


def _wilson(share: float, n: int) -> tuple[float, float]:
    """Ends of the 95 % interval of a share of n trials.

    >>> [round(end, 3) for end in _wilson(1.0, 6)]
    [0.61, 1.0]
    """
    spread = _Z * _Z / n
    middle = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return max(0.0, middle - half), min(1.0, middle + half)


SHARED = 0.8
"""Share of all words of two statements that say the same in other words."""
CONTAINED = 0.6
"""Length of a statement that is contained in another one, as a share of that one's."""
ALIKE = 0.7
"""Share of the longer word that two forms of one word begin with."""
_LEAST_LETTERS = 4
_LIKING, _NEGATING = "\0", "\1"
"""Stand for all verbs of liking, and for a negation."""
_CLAUSE = re.compile(r"[,;:.!?()،؛。，；：、！？।]")
"""Where a clause ends, and with it what a negation governs."""
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")
"""Beginnings of the Unicode names of characters in scripts that put no space between words."""


def without_repetition(persona: Persona) -> Persona:
    """The persona with statements that say the same merged; `PersonaSentence.repeats` counts what went in.

    Two statements are compared by their words: case, punctuation and order do not matter, nor does the ending
    of a word (two words are alike when they share their beginning, at least four letters and `ALIKE` of the
    longer one), and verbs of liking are one word. In scripts without spaces, pairs of neighbouring characters
    are the words. What a negation governs, the rest of its clause, is not the same as without it. Statements
    say the same when both negate as often, and

    - they share `SHARED` of all their words, or
    - all words of the one are among those of the other, and it is no shorter than `CONTAINED` of it.

    What says the same as one of several that were merged goes with them. The first keeps its place, the one
    with most words its wording, and the citations of all are joined.
    """
    kept: list[tuple[PersonaSentence, list[_Words]]] = []
    for sentence in persona.sentences:
        words = _words(sentence.text)
        for place, (first, members) in enumerate(kept):
            if any(_same(words, other) for other in members):
                fuller = len(words.content) > max(len(other.content) for other in members)
                text = sentence.text if fuller else first.text
                kept[place] = _joined(first, sentence, text), [*members, words]
                break
        else:
            kept.append((sentence, [words]))
    return persona.model_copy(update={"sentences": tuple(sentence for sentence, _ in kept)})


def say_the_same(one: str, other: str) -> bool:
    """Whether two statements say the same, by their words as `without_repetition` compares them."""
    return one.split() == other.split() or _same(_words(one), _words(other))


@dataclass(frozen=True)
class _Words:
    """What a statement is compared by."""

    content: tuple[str, ...]
    """Different words, in order."""
    negations: int
    """How often it negates."""


def _joined(first: PersonaSentence, second: PersonaSentence, text: str) -> PersonaSentence:
    return PersonaSentence(
        text=text,
        pair_ids=tuple(dict.fromkeys([*first.pair_ids, *second.pair_ids])),
        evidence=tuple(dict.fromkeys([*first.evidence, *second.evidence])),
        repeats=first.repeats + second.repeats + 1,
    )


def _same(one: _Words, other: _Words) -> bool:
    short, long = sorted((one.content, other.content), key=len)
    if one.negations != other.negations or not short:
        return False
    shared = _shared(short, long)
    contained = shared == len(short) and len(short) >= CONTAINED * len(long)
    return contained or shared >= SHARED * (len(short) + len(long) - shared)


def _shared(short: Sequence[str], long: Sequence[str]) -> int:
    """How many words of both can be matched one to one; equal words come first."""
    left = [word for word in long if word not in short]
    found = len(long) - len(left)
    for word in (word for word in short if word not in long):
        match = next((other for other in left if _alike(word, other)), None)
        if match is not None:
            left.remove(match)
            found += 1
    return found


def _alike(one: str, other: str) -> bool:
    longest = max(len(one), len(other))
    same = next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    return same >= max(_LEAST_LETTERS, ALIKE * longest)


def _words(text: str) -> _Words:
    r"""The words of a statement, those that a negation governs marked.

    >>> _words("The user does NOT like lists; lists!").content
    ('the', 'user', 'does', '-\x00', '-lists', 'lists')
    """
    lists = _lists()
    plain = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    for inside, mark in ((lists.negating_inside, _NEGATING), (lists.liking_inside, _LIKING)):
        plain = inside.sub(f" {mark} ", plain)
    content: list[str] = []
    negations = 0
    for clause in _CLAUSE.split(plain):
        governed = ""
        for word in "".join(char if _in_word(char) else " " for char in clause).split():
            if word in lists.negating:
                negations += 1
                governed = "-"
            else:
                pieces = [_LIKING] if word in lists.liking else _pieces(word)
                content += [governed + piece for piece in pieces]
    return _Words(tuple(dict.fromkeys(content)), negations)


def _in_word(char: str) -> bool:
    return char in ("'", _LIKING, _NEGATING) or unicodedata.category(char)[0] in "LNM"


def _pieces(word: str) -> list[str]:
    """A word as it is; one of a script without spaces as its pairs of neighbouring characters."""
    unspaced = len(word) > 1 and unicodedata.name(word[0], "").startswith(_UNSPACED)
    return [word[i : i + 2] for i in range(len(word) - 1)] if unspaced else [word]


@dataclass(frozen=True)
class _Lists:
    negating: frozenset[str]
    liking: frozenset[str]
    negating_inside: re.Pattern[str]
    liking_inside: re.Pattern[str]


@cache
def _lists() -> _Lists:
    read = tomllib.loads(resource("data/words/statements.toml").read_text(encoding="utf-8"))
    negating, liking = (frozenset(read[name]) for name in ("negating", "liking"))
    return _Lists(negating | {_NEGATING}, liking | {_LIKING}, _inside(negating), _inside(liking))


def _inside(words: frozenset[str]) -> re.Pattern[str]:
    unspaced = [word for word in words if unicodedata.name(word[0], "").startswith(_UNSPACED)]
    return re.compile("|".join(map(re.escape, sorted(unspaced, key=len, reverse=True))))
