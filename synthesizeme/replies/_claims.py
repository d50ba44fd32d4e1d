"""What words say about two responses: the value of a label, and whole sentences."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from synthesizeme.replies._chances import chance_of
from synthesizeme.replies._named_page import NamedPage
from synthesizeme.replies._options import (
    Mention,
    bare,
    lines_behind,
    lists,
    ranked,
    related,
    scored,
    ticked,
)
from synthesizeme.types import EXCHANGED, Preference


@dataclass(frozen=True)
class Claim:
    """A response that a reply says is preferred; claims of the same response are equal."""

    side: Preference
    start: int = field(compare=False)
    end: int = field(compare=False)
    mention: Mention | None = field(default=None, compare=False)
    """Which words name it; None for a tie, and where two responses are compared by signs or numbers."""
    share: float | None = field(default=None, compare=False)
    """The chance of being right, where the claim is two shares or the chance of a response."""


Reading = Claim | Literal["unclear", "nothing"]
"""What a value says: a claim, something that is no choice, or nothing but a template."""

_QUOTED = re.compile(r'"[^"\n]{12,}"')
_STOP = re.compile(r"(?:[.!?]+[\"')]*(?=\s|\Z|[^\x00-\u02ff])|\n)")
_ASIDE = re.compile(r"\s*\([^()\n]*\w\w[^()\n]*\)\s*(?:[:=-]\s*)?(?=\S)")
_ASPECT = re.compile(r"\s+(?:on|in|at|with)\s+(?!balance|the whole|the end|this|my|general|comparison)")
"""Words behind a judgement that say of what alone it is one."""
_HALF = 0.5
_OFFERED = re.compile(r"\s*[/&+|]")
"""Signs behind a name that offer another, as in ``first/second``."""
_EVEN_WORDS = ("tie", "even", "equal", "draw", "same")
"""Words that are a tie as a value, but not in the middle of a sentence."""


class Claims(NamedPage):
    """Reads the claims on a page."""

    def value(self, start: int, end: int, *, beyond: bool = False) -> Reading:
        """What stands behind a label that asks for a choice, from `start` to `end`.

        With `beyond`, the lines below belong to it that go on with a list of both responses.
        """
        aside = _ASIDE.match(self.page, start, end)
        if aside and (re.search(r"[:=-]\s*\Z", aside[0]) or self.named_at(aside.end(), end)):
            start = aside.end()
        if not re.search(r"\w", self.page[start:end]):
            return "nothing"
        last = lines_behind(self.page, start, end, self.named_at) if beyond else end
        compared = self._side_by_side(start, last)
        if compared is not None or last > end:
            return compared or "unclear"
        mention = self.named_at(start, end)
        if mention is None:
            return self._no_name(start, end)
        if (loser := self._loser(mention.end, end)) is not None:
            withdrawn = self._unless_withdrawn(mention, start, loser.end, end)
            return "unclear" if loser.side == mention.side else withdrawn
        behind = self.named_within(mention.end, end)
        if self._joined(mention.end, end, "or"):
            return "nothing" if any(it.side != mention.side for it in behind) else "unclear"
        if self._joined(mention.end, end, "and", ",") or lists(self.page, mention, behind, end):
            return "unclear"
        if not self.ends(mention.end, end) or self._is_subject(mention, end):
            found = self.said(start, end)
            return found[-1] if len({it.side for it in found}) == 1 else "unclear"
        return self._unless_withdrawn(mention, start, mention.end, end)

    def _side_by_side(self, start: int, end: int) -> Reading | None:
        """What boxes, scores or a sign at both responses say; None where they do not stand side by side."""
        named = [it for it in self.named_within(start, end) if it.end <= end]
        found = ticked(self.page, named, start, end, self.named_at) or scored(self.page, named, start, end)
        if found is not None:
            return "unclear" if found.side == "unclear" else Claim(found.side, start, end, share=found.share)
        left = self.named_at(start, end)
        if left is None:
            return None
        signs = re.compile(r"[^\w★⭐]*").match(self.page, left.end, end)
        at = signs.end() if signs else left.end
        right = self.named_at(at, end)
        if right is None or right.side == left.side:
            offered = re.match(r"\s*[/&+|?]|\s*-\s*\d|-\w", self.page[left.end : end])
            return "unclear" if offered else None
        relation = related(self.page[left.end : at])
        if relation == "left":
            return None
        if relation in ("tie", "right"):
            side: Preference = "tie" if relation == "tie" else right.side
            return Claim(side, start, right.end) if self.ends(right.end, end) else "unclear"
        if relation == "list":
            return "unclear" if "?" in self.page[left.end : at] else "nothing"
        return "unclear" if bare(self.page, right.end, end) or not self.page[left.end : at].strip() else None

    def ranked(self, start: int) -> Claim | None:
        """The first of both responses in an order from best to worst that begins at `start`."""
        found = ranked(self.page, start, self.named_at)
        return Claim(found[0].side, start, found[1], found[0]) if found else None

    def _is_subject(self, mention: Mention, end: int) -> bool:
        """Whether a sentence about the response begins with its name; it need not choose it."""
        at = self.past_blanks(mention.end, end)
        return self.gloss.end("verbs", at) is not None and self.gloss.end("because", at) is None

    def _no_name(self, start: int, end: int) -> Reading:
        at = self.past_fill(start, end)
        stop = self.gloss.end("tie", at)
        if stop is None and self.gloss.end("fill", start) is not None:
            ties = self.gloss.spans("tie", start, end)
            stop = next((last for first, last in ties if not re.search(r"\w", self.page[start:first])), None)
        if stop is not None and stop <= end and self.ends(stop, end) and not self._withdrawn(stop, end):
            return Claim("tie", start, stop)
        found = self.said(start, end)
        return found[-1] if len({it.side for it in found}) == 1 else "unclear"

    def _unless_withdrawn(self, mention: Mention, start: int, after: int, end: int) -> Reading:
        return "unclear" if self._withdrawn(after, end) else Claim(mention.side, start, after, mention)

    def said(self, start: int, end: int) -> list[Claim]:
        """Claims in sentences, in order.

        A sentence counts where a word of preferring stands next to a response and nothing in it denies the
        claim, makes it depend on something, asks, or leaves it to others.
        """
        claims: list[Claim] = []
        for begin, stop in self.sentences(start, end):
            if (chance := self._chance(begin, stop)) is not None:
                claims += [chance] if isinstance(chance, Claim) else []
                continue
            quoted = [it.span() for it in _QUOTED.finditer(self.page, begin, stop)]
            found: dict[int, Claim] = {}
            for first, last, mention in self._constructions(begin, stop):
                if any(a <= first < b for a, b in quoted) or self._lost(mention, begin):
                    continue
                if _OFFERED.match(self.page, mention.end, stop):
                    continue
                if self._stands(first, last, begin, stop):
                    found[mention.start] = Claim(mention.side, first, last, mention)
            claims += [found[at] for at in sorted(found)]
        return claims

    def said_even(self, start: int, end: int) -> list[Claim]:
        """Sentences that say that neither response is preferred to the other."""
        claims = []
        for begin, stop in self.sentences(start, end):
            for first, last in self.gloss.spans("tie", begin, stop):
                short = self.page[first:last] in _EVEN_WORDS or self.page[first:last] == "equally"
                if not short and self.ends(last, stop) and self._stands(first, last, begin, stop, even=True):
                    claims.append(Claim("tie", first, last))
                    break
        return claims

    def said_worse(self, start: int, end: int) -> list[Claim]:
        """Claims in sentences that say which response is the worse one, in order; the other is preferred."""
        claims = []
        for begin, stop in self.sentences(start, end):
            for first, last in self.gloss.spans("worse", begin, stop):
                worse = self._worse(first, last, begin, stop)
                at = min(worse.start, first) if worse else first
                if worse and self._stands(at, max(worse.end, last), begin, stop, judged=first):
                    claims.append(Claim(EXCHANGED[worse.side], at, last))
        return claims

    def _worse(self, first: int, last: int, begin: int, stop: int) -> Mention | None:
        """The response that a word of being worse is said of: before it, or else behind."""
        for it in reversed(self.named_within(begin, first)):
            if self.reach(it.end, stop, "worse") == (first, last):
                other = self.named_at(self.gloss.end("than", self.past_blanks(last, stop)) or last, stop)
                behind = other.end if other and other.side != it.side else last
                return it if self.ends(behind, stop) and not _ASPECT.match(self.page, behind) else None
        named = self.named_at(last, stop)
        if named is None or not self.ends(named.end, stop) or self._is_described(first, last):
            return None
        return named

    def _chance(self, begin: int, stop: int) -> Claim | Literal["unclear"] | None:
        """The claim of a sentence that states the chance of one response; None where it states none."""
        found = chance_of(self, begin, stop)
        if found is None or found == "unclear":
            return found
        mention, chance = found
        if not self._stands(mention.start, mention.end, begin, stop):
            return "unclear"
        if chance == _HALF:
            return Claim("tie", begin, stop)
        if chance > _HALF:
            return Claim(mention.side, begin, stop, share=chance)
        return Claim(EXCHANGED[mention.side], begin, stop, share=1 - chance)

    def sentences(self, start: int, end: int) -> list[tuple[int, int]]:
        """Where the sentences of a part of the page begin and end."""
        found, begun = [], start
        for match in _STOP.finditer(self.page, start, end):
            found.append((begun, match.end()))
            begun = match.end()
        return [*found, (begun, end)]

    def _constructions(self, begin: int, stop: int) -> list[tuple[int, int, Mention]]:
        """(from, to, response) of every place where a word of preferring stands next to a response."""
        gloss, found, used = self.gloss, [], set()
        named = [it for it in self.named_within(begin, stop) if it.end <= stop]
        for it in named:
            better = self.reach(it.end, stop, "better")
            if better is not None:
                used.add(better[0])
                other = self.named_at(better[1], stop)
                if other and other.side != it.side and not self.page[better[1] : other.start].strip():
                    found.append((it.start, other.end, it))  # the genitive says "than": лучше первого
                elif self.ends(better[1], stop) and self._over_the_other(better[1], stop):
                    found.append((it.start, better[1], it))
            elif (end := self._suits(it.end, stop) or self._beats(it, stop)) is not None:
                found.append((it.start, end, it))
            elif (chosen := self._chosen(it, stop)) is not None:
                found.append((it.start, chosen, it))
        for kind in ("prefers", "better"):
            for first, last in gloss.spans(kind, begin, stop):
                mention = self.named_at(last, stop)
                if (
                    mention is None
                    or self._is_least(first)
                    or self._is_described(first, last)
                    or not self.ends(mention.end, stop)
                ):
                    continue
                than = gloss.any(
                    mention.start, mention.end, "genitive"
                )  # "than this one" after a comparative
                if kind == "prefers" or not (first in used or than):
                    found.append((first, mention.end, mention))
        for first, last in gloss.spans("likes", begin, stop):
            mention = self.named_at(last, stop)
            more = self.reach(mention.end, stop, "more") if mention else None
            if mention and more:
                found.append((first, more[1], mention))
        return found

    def _over_the_other(self, position: int, stop: int) -> bool:
        """Whether "than", where it stands here, compares with the other response: not "than nothing"."""
        behind = self.gloss.end("than", self.past_blanks(position, stop))
        if behind is None or self.named_at(behind, stop):
            return True
        at = self.past_fill(behind, stop)
        return self.gloss.end("others", at) is not None

    def _is_least(self, position: int) -> bool:
        """Whether "least" or its like stands right before a word of preferring."""
        before = self.gloss.spans("worst", max(0, position - 24), position)
        return bool(before) and not re.search(r"\w", self.page[before[-1][1] : position])

    def _is_described(self, first: int, last: int) -> bool:
        """Whether "answer is" or its like belongs to another quality: "the longer answer is"."""
        before = re.search(r"(\w[\w']*)[ \t]+\Z", self.page[max(0, first - 24) : first])
        if before is None or not self.page[first:last].endswith(" is"):
            return False
        at = first - len(before[0])
        return not any(
            self.gloss.end(kind, at) for kind in ("fill", "before", "better", "but", "because", "user")
        )

    def _beats(self, mention: Mention, stop: int) -> int | None:
        """Where a comparison ends that names the other response: ``beats the first``, ``比第一个更好``."""
        beats = self.reach(mention.end, stop, "beats")
        if beats and (beaten := self.named_at(beats[1], stop)) and beaten.side != mention.side:
            return beaten.end if self.ends(beaten.end, stop) else None
        at = self.past_fill(mention.end, stop)
        before = self.gloss.end("over", at)
        other = self.named_at(before or at, stop)
        behind = other.end if other else stop
        if other and before is None:
            behind = self.gloss.end("over_after", self.past_blanks(behind, stop)) or stop
        better = self.reach(behind, stop, "better") or (before and self.reach(behind, stop, "good"))
        return better[1] if better and self.ends(better[1], stop) else None

    def _chosen(self, mention: Mention, stop: int) -> int | None:
        """Where ``is the one that this user would choose`` ends."""
        one = self.reach(mention.end, stop, "relative")
        chosen = self.reach(one[1], stop, "prefers") if one else None
        return chosen[1] if chosen and self.ends(chosen[1], stop) else None

    def _suits(self, position: int, stop: int) -> int | None:
        """Where ``fits this user better`` or ``better fits`` ends that begins at `position`."""
        suits, more = self.reach(position, stop, "suits"), self.reach(position, stop, "more")
        if suits is not None:
            for first, last in self.gloss.spans("more", suits[1], min(stop, suits[1] + 60)):
                if not re.search(r"[.!?;,\n]", self.page[suits[1] : first]):
                    return last
        if more is not None and (after := self.reach(more[1], stop, "suits")):
            return after[1]
        return None

    def _loser(self, position: int, end: int) -> Mention | None:
        """The response that another is preferred to, behind it."""
        match = re.compile(r"\s*[,(]?\s*").match(self.page, position, end)
        at = match.end() if match else position
        arrow = re.compile(r">+\s*").match(self.page, at, end)
        behind = arrow.end() if arrow else self.gloss.end("over", at)
        return None if behind is None else self.named_at(behind, end)

    def _joined(self, position: int, end: int, kind: str, sign: str = "") -> bool:
        """Whether a word of a kind stands here and, for "and", a response behind it."""
        match = re.compile(r"[\s,;]*").match(self.page, position, end)
        at = match.end() if match else position
        word = self.gloss.end(kind, at)
        if kind == "or":
            return word is not None
        commas = sign and sign in self.page[position:at]
        return bool((word or commas) and self.named_at(word or at, end))

    def _lost(self, mention: Mention, begin: int) -> bool:
        """Whether a response is the one that another is preferred to."""
        if self.gloss.end("over_after", self.past_blanks(mention.end, len(self.page))) is not None:
            return True
        earlier = [it.end for it in self.named_within(begin, mention.start)]
        if not earlier:
            return False
        return any(self.past_fill(last, mention.start) >= mention.start
                   and not self.gloss.any(earlier[-1], first + 1, "prefers")
                   for first, last in self.gloss.spans("over", earlier[-1], mention.start))  # fmt: skip

    def _stands(
        self, first: int, last: int, begin: int, stop: int, *, even: bool = False, judged: int | None = None
    ) -> bool:
        """Whether nothing around a claim in its sentence takes it back, or inside before its judging word."""
        gloss = self.gloss
        if re.search(r"\?[\"')]*\s*\Z", self.page[begin:stop]) or gloss.any(
            begin, first, "if", "which", "doubt"
        ):
            return False
        own = self._own_clause(begin, first)
        if even:
            spans = gloss.spans("not", own, first)
            denied = any(self.page[start:end] not in ("neither", "no") for start, end in spans)
            return not denied and not gloss.any(own, first, "perhaps") and not self._withdrawn(last, stop)
        if gloss.any(own, first, "not", "perhaps", "both", "worse") or gloss.any(
            first, last if judged is None else judged, "not"
        ):
            return False
        return not self._withdrawn(last, stop)

    def _own_clause(self, begin: int, first: int) -> int:
        """Where the clause begins that a claim stands in."""
        ends = [match.end() for match in re.finditer(r"[;:–—]", self.page[begin:first])]
        turns = [
            last for start, last in self.gloss.spans("but", begin, first) if not self._is_aside(start, last)
        ]
        own = max([begin, *(begin + it for it in ends), *turns])
        comma = self.page.rfind(",", begin, first)
        return max(own, comma) if self.gloss.end("since", self.first_word(begin, first)) is not None else own

    def _is_aside(self, start: int, end: int) -> bool:
        """Whether a word stands between commas, as in "I do not think, however, that"."""
        return self.page[max(0, start - 3) : start].rstrip().endswith(",") and self.page[end : end + 1] == ","

    def _withdrawn(self, start: int, end: int) -> bool:
        """Whether what follows a choice takes it back or makes it hang on something."""
        stop = re.compile(r"[.!;\n]").search(self.page, start, end)
        end = stop.start() if stop else end
        reasons = self.gloss.spans("because", start, end)
        end = reasons[0][0] if reasons else end
        if "?" in self.page[start : min(end, start + 3)] or self.gloss.any(
            start, end, "perhaps", "both", "if", "doubt"
        ):
            return True
        clause = re.compile(r"[,(–—]").search(self.page, start, end)
        return self.gloss.any(start, clause.start() if clause else end, "not")
