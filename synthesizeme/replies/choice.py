"""What a reply of free form says about two responses: which one, how surely, and why."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import NoReturn

from synthesizeme.replies._claims import Claim, Claims
from synthesizeme.replies._options import (
    Mention,
    Statement,
    UnclearError,
    boxes_listed,
    last_word,
    retraction,
    scores_listed,
)
from synthesizeme.replies._page import Part, ends_of_answers, parts, responses_shown, thoughts
from synthesizeme.replies._page import page as page_of
from synthesizeme.replies._words import Gloss
from synthesizeme.replies.rating import Unreadable, level_in, number_in
from synthesizeme.types import Preference

LEAST_CONFIDENCE = 50
"""The least confidence, in percent, that judges are asked for."""
_OPENING = 80
_NUMBER_BEFORE = re.compile(r"(?<![\d.])(\d[\d.,]*\s*(?:%|percent|/\s*\d+|out of \d+)?)\s*\Z")
_NUMBER_AFTER = re.compile(
    r"\s*(?:level|score|is|of|at|:|=|around|about|约为|约|大约|为|\(|\s)*"
    r"([\d.]+\s*(?:%|/\s*\d+|out of \d+)?)"
)
_PERCENT = re.compile(r"\(\s*(\d[\d.]*\s*%)\s*\)|[,;]\s*(\d[\d.]*\s*%)")
_SURELY = re.compile(r"\b(?:am|i'm|with|,)\s+((?:\w+\s+){0,2}?\w+)\Z")
_SCORE_HEADING = re.compile(
    r"(?:\W*\b(?:overall|final|total|scores?|ratings?|points|probabilit(?:y|ies)|responses?|options?)\b)+\W*"
)
_LETTER = 3
"""A name shorter than this is a letter or a number alone."""


@dataclass(frozen=True)
class StatedChoice:
    """The answer of a reply."""

    side: Preference
    """Which response it prefers."""
    confidence: float | None
    """The chance of being right that it states, in [0, 1]; None if it states none."""
    reasoning: str
    """Why, in its own words; empty if it does not say."""
    place: int | None
    """Where in the reply this response begins to differ from the other in words; None for a tie."""
    words: tuple[str, str]
    """What stands there, and what would stand there for the other response, in lower case without accents."""


def read_choice(reply: str, *, cut_off: bool = False) -> StatedChoice:
    """The response that a reply prefers, in whichever words, language or layout it says so.

    What counts, the strongest first: a label of preference (``Preference: Second``, in prose, JSON, a table,
    a heading or a tag); another label that asks for a choice (``Verdict``, ``Answer``); sentences that say
    which response is preferred; a response named alone in the first or the last line.

    The answer is the last one of a kind, so that second thoughts are heard. It ends where something of
    another question begins, such as a heading of the prompt, another role, or the form from its beginning: of
    a reply that runs on into an invented next question, the first answer is read. In a reply that was cut
    off, an answer counts if the rest of the form or nothing follows it; a draft is none. Sentences that
    contradict one another without a conclusion are unclear, and so is what is denied, asked, or made to
    depend on something.

    Args:
        reply: All of the reply.
        cut_off: Whether it stopped at the limit of its length.

    Raises:
        UnclearError: it does not say, or states a confidence that cannot be read: on no known scale, in words
            of no known height, or cut off in its digits.
    """
    reading = _Reading(reply)
    cut_off = cut_off and not reading.ended
    claim = reading.answer(cut_off)
    place, differing = (None, ("", "")) if claim.mention is None else _differing(claim.mention, reading.page)
    return StatedChoice(
        claim.side, reading.confidence(claim, cut_off), reading.reasoning(claim), place, differing
    )


def _differing(mention: Mention, page: str) -> tuple[int, tuple[str, str]]:
    """Where a named response differs from the other, and the two words from there on."""
    start, end = mention.word
    own, rival = page[start:end], mention.rival
    shared = next((place for place, (a, b) in enumerate(zip(own, rival, strict=False)) if a != b), 0)
    return start + shared, (own[shared:], rival[shared:])


class _Reading:
    """A reply with everything that it says of the two responses."""

    def __init__(self, reply: str) -> None:
        self.reply = reply
        self.page, self.ended = page_of(reply)
        self.gloss = Gloss(self.page)
        self.parts = parts(self.gloss, reply, "preference", "verdict", "ranking", "reasoning", "confidence")
        self.claims = Claims(self.gloss, reply)
        self.ends = ends_of_answers(self.page, self.parts)

    def answer(self, cut_off: bool) -> Claim:
        labelled = [self._labelled(kind) for kind in ("preference", "verdict", "ranking")]
        for limit in self.ends:
            last = limit == len(self.page)
            found = self._until(limit, labelled, cut_off and last)
            if isinstance(found, Claim):
                if self._said_otherwise(found):
                    found = "it says another thing before it shows the responses"
                    break
                return found
        raise UnclearError(found)

    def _said_otherwise(self, answer: Claim) -> bool:
        """Whether sentences before responses that are shown, which may be another question's, disagree."""
        shown = [it for it in responses_shown(self.page) if it < answer.start]
        said = self.claims.said(0, shown[0]) if shown else []
        return bool(said) and said[-1].side != answer.side

    def _labelled(self, kind: str) -> list[Statement[Claim]]:
        """What stands behind labels of a kind; templates are left out."""
        found: list[Statement[Claim]] = []
        for part in self.parts:
            if part.kind == kind == "ranking":
                ranked = self.claims.ranked(part.start)
                found += [Statement(ranked, part.label, ranked.end, part.final)] if ranked else []
            elif part.kind == kind:
                read = self.claims.value(part.start, part.end, beyond=True)
                if isinstance(read, Claim):
                    found.append(Statement(read, part.label, max(read.end, part.start), part.final))
                elif read == "unclear" and (
                    kind == "preference" or isinstance(self.claims.value(part.start, part.end), Claim)
                ):
                    found.append(Statement(None, part.label, part.end, part.final))
        return found

    def _until(self, limit: int, labelled: list[list[Statement[Claim]]], cut_off: bool) -> Claim | str:
        for statements in labelled:
            found = last_word(
                self.gloss, statements, limit, self.parts, cut_off=cut_off, later=self._sentences
            )
            if found == "unclear":
                return "what it says of the preference is not clear"
            if isinstance(found, Statement) and found.value is not None:
                return found.value
        if cut_off:
            whole = re.compile(r"\s*").match(self.page)
            named = self._only(whole.end() if whole else 0, limit, whole=True)
            return named if named and named.end >= limit - 1 else "it was cut off before a preference"
        said = self._in_prose(limit)
        listed = self._listed(limit)
        if said and listed:
            return said if said == listed else "its sentences and its list contradict one another"
        return said or listed or self._alone(limit) or "it names no preference"

    def _lines(self, limit: int) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"[^\n]*\w[^\n]*", self.page[:limit])]

    def _listed(self, limit: int) -> Claim | str | None:
        """A list of both responses: boxes, or scores if nothing else but reasons stands there."""
        lines = self._lines(limit)
        found = boxes_listed(self.page, lines, self.claims.named_at) if lines else None
        if found is None:
            beside = [it for it in self.parts if it.kind in ("reasoning", "confidence")]
            rest = [
                (start, end)
                for start, end in lines
                if not any(start <= it.label < end for it in beside)
                and not _SCORE_HEADING.fullmatch(self.page[start:end])
            ]
            if len(rest) != 2:
                return None
            lines = rest
            found = scores_listed(self.page, lines, self.claims.named_at)
        if found is None:
            return None
        if found.side == "unclear":
            return "its list leaves it open"
        return Claim(found.side, lines[0][0], lines[-1][1], share=found.share)

    def _sentences(self, start: int, limit: int) -> list[Statement[Claim]]:
        found = self.claims.said(start, limit)
        found += self.claims.said_even(start, limit) if not found else []
        for part in self.parts:
            if part.start >= start and part.end <= limit and part.kind in ("preference", "verdict"):
                read = self.claims.value(part.start, part.end)
                found += [read] if isinstance(read, Claim) else []
        return [Statement(it, it.start, it.end) for it in sorted(found, key=lambda it: it.start)]

    def _in_prose(self, limit: int) -> Claim | str | None:
        claims = self.claims.said(0, limit) or self.claims.said_even(0, limit) or self._said_worse(limit)
        if not claims:
            return None
        last = claims[-1]
        if {it.side for it in claims} != {last.side} and not self._concludes(claims):
            return "its sentences contradict one another"
        if retraction(self.gloss, last.end, limit, self.parts) is not None:
            return "it takes back what it said"
        return last

    def _said_worse(self, limit: int) -> list[Claim]:
        """What sentences say of the worse one, where nothing is held against it behind them."""
        claims = self.claims.said_worse(0, limit)
        return [] if claims and self.gloss.any(claims[-1].end, limit, "but") else claims

    def _concludes(self, claims: list[Claim]) -> bool:
        """Whether the last of contradicting sentences says that it is the conclusion."""
        last = claims[-1]
        other = max(it.end for it in claims if it.side != last.side)
        return self.gloss.any(other, last.start, "finally", "retract", "aside")

    def _alone(self, limit: int) -> Claim | None:
        """A response named alone: the whole reply, its first or its last line, or its first sentence."""
        lines = [it for it in map(self._past_question, self._lines(limit)) if it]
        if not lines:
            return None
        found = []
        for start, end in lines:
            claim = self._only(start, end, whole=len(lines) == 1)
            if claim:
                found.append((start, claim))
        sides = {claim.side for _, claim in found}
        if len(sides) == 1 and found[-1][0] in (lines[0][0], lines[-1][0]):
            return found[-1][1]
        return None if sides else self._opening(lines[0], limit) or self._closing(lines[-1])

    def _past_question(self, line: tuple[int, int]) -> tuple[int, int] | None:
        """A line without the questions that it begins with; None if nothing else stands there."""
        spans = self.claims.sentences(*line)
        asked = itertools.takewhile(lambda it: self.page[slice(*it)].rstrip(" \"')").endswith("?"), spans)
        start = max((end for _, end in asked), default=line[0])
        return (start, line[1]) if re.search(r"\w", self.page[start : line[1]]) else None

    def _only(self, start: int, end: int, *, whole: bool) -> Claim | None:
        line = self.page[start:end]
        if len(line.strip()) > _OPENING or line.rstrip().endswith((":", "?")):
            return None
        read = self.claims.value(self._past_opening(start, end), end)
        if not isinstance(read, Claim):
            return None
        if re.match(r"[\s*_\"']*[:=|]\s*\S|[^\w(]*[★⭐✓✔✗✘✅❌☑☐]", self.page[read.end : end]):
            return None
        sure = self.gloss.spans("surely", read.end, end)
        stop = next((first for first, last in sure if not re.search(r"\w", self.page[read.end : first])), end)
        last = max((last for first, last in sure if first <= stop), default=read.end)
        tail = re.sub(
            r"\([^)]*\)|[^\w]|\d+%?|\b(?:confident|confidence|sure|certain)\b", "", self.page[last:end]
        )
        if tail or (
            read.mention
            and not read.mention.has_noun
            and read.mention.end - read.mention.start < _LETTER
            and not whole
        ):
            return None
        return read

    def _past_opening(self, start: int, end: int) -> int:
        """The place behind "so," or "if I had to choose," at the beginning of a sentence."""
        at = self.claims.first_word(start, end)
        stop = self.gloss.end("forced", at) or self.gloss.end("finally", at)
        comma = re.compile(r"\s*[,:]").match(self.page, stop, end) if stop else None
        return comma.end() if comma else start

    def _opening(self, line: tuple[int, int], limit: int) -> Claim | None:
        """``Second. It is shorter.``: the first sentence is a response, and no later one is."""
        alone = [self._only(*span, whole=False) for span in self._worded(line[0], limit)]
        if alone[0] is not None:
            return alone[0] if not any(alone[1:]) else None
        read = self.claims.value(*line)
        if not isinstance(read, Claim):
            return None
        reason = re.compile(r"[\s,–—-]*").match(self.page, read.end)
        return read if reason and self.gloss.end("because", reason.end()) and not any(alone[1:]) else None

    def _closing(self, line: tuple[int, int]) -> Claim | None:
        """``Therefore the second.``: the last sentence concludes with a response alone."""
        begin, end = self._worded(*line)[-1]
        concludes = self.gloss.end("finally", self.claims.first_word(begin, end))
        return self._only(begin, end, whole=True) if concludes else None

    def _worded(self, start: int, end: int) -> list[tuple[int, int]]:
        """The sentences in which a word stands."""
        return [it for it in self.claims.sentences(start, end) if re.search(r"\w", self.page[slice(*it)])]

    def confidence(self, claim: Claim, cut_off: bool) -> float | None:
        """The stated chance of being right, from the answer's own block; None where none is stated.

        Raises:
            UnclearError: one is stated that cannot be read, or the reply was cut off in its digits.
        """
        end = next(limit for limit in self.ends if limit >= claim.end)
        cut_off = cut_off and end >= len(self.page.rstrip()) and re.search(r"\d\s*\Z", self.page) is not None
        stated = [
            it
            for it in self.parts
            if it.kind == "confidence" and it.start <= end
            if claim.share is None or not claim.start <= it.label < claim.end
        ]
        after = [it for it in stated if it.label >= claim.start]
        for part in [*after, *reversed([it for it in stated if it.label < claim.start])]:
            if cut_off and not self.page[part.end :].strip():
                raise UnclearError("it was cut off in the digits of its confidence")
            found = self._confidence_at(part, claim)
            if found is not None:
                return found
        return claim.share or self._inline(claim, end)

    def _confidence_at(self, part: Part, claim: Claim) -> float | None:
        value = self.page[part.start : part.end]
        try:
            found = number_in(value, lowest=LEAST_CONFIDENCE, label=self.page[part.label : part.start])
        except Unreadable:
            self._refuse(value)
        chance = level_in(value) if found is None else found.chance
        whose = None if found is None else self._whose(part.start + found.end, part.end)
        if whose is not None and whose != claim.side:
            self._refuse(value)
        labelled = part.label == part.start or re.search(r"[:=→>\n]", self.page[part.label : part.start])
        if chance is None and labelled and re.search(r"\w", value):
            self._refuse(value)
        return chance

    def _whose(self, position: int, end: int) -> Preference | None:
        """Which response a chance is said to be of: ``80% (First)``, ``80% for the first``."""
        sign = re.compile(r"\s*(?:%|percent)?[\s(]*(?:(?:for|that|of)\s)?").match(self.page, position, end)
        named = self.claims.named_at(sign.end(), end) if sign else None
        return named.side if named else None

    def _refuse(self, value: str) -> NoReturn:
        shown = " ".join(value.split())[:60]
        raise UnclearError(f"it states the confidence {shown!r}, which cannot be told") from None

    def _inline(self, claim: Claim, end: int) -> float | None:
        """``85% confident`` or ``(80%)`` in the sentence of the claim."""
        line_start = max(self.page.rfind("\n", 0, claim.start), 0)
        line_end = self.page.find("\n", claim.end)
        line = self.page[line_start : line_end if line_end >= 0 else len(self.page)]
        begun = max(it for it, _ in self.claims.sentences(line_start, end) if it <= claim.start)
        for start, stop in self.gloss.spans("confident", line_start, end):
            if stop <= begun and self.gloss.end("chance", start):
                continue  # a chance of something else, in another sentence
            number = _NUMBER_BEFORE.search(self.page, line_start, start) or _NUMBER_AFTER.match(
                self.page, stop
            )
            if number is not None:
                try:
                    return _chance(number[1])
                except Unreadable:
                    continue
            surely = _SURELY.search(self.page, line_start, stop)
            if surely:
                return level_in(surely[1])
        percent = _PERCENT.search(line)
        return _chance(percent[1] or percent[2]) if percent else None

    def reasoning(self, claim: Claim) -> str:
        """What stands behind the label of reasoning, else what is said before the answer."""
        stops = [it for it in self.parts if it.kind != "reasoning"]
        for part in self.parts:
            if part.kind == "reasoning":
                end = min([it.label for it in stops if it.label >= part.start], default=len(self.page))
                end = min([end, *(limit for limit in self.ends if limit >= part.start)])
                if text := _tidy(self.reply[part.start : end]):
                    return text
        label = min([it.label for it in stops], default=claim.start)
        begun = min(label, claim.start)
        said_before = "".join(
            mark if plain.strip() or not mark.strip() else " " for mark, plain in
            zip(self.reply[:begun], self.page[:begun], strict=True)
        )  # fmt: skip
        return _tidy(said_before) or _tidy(
            thoughts(self.reply) if "<reasoning>" in self.reply.lower() else ""
        )


def refuses(reply: str) -> bool:
    """Whether a reply without an answer is a refusal to give one."""
    gloss = Gloss(page_of(reply)[0])
    return gloss.any(0, len(gloss.text), "refusal")


def _chance(number: str) -> float | None:
    found = number_in(number, lowest=LEAST_CONFIDENCE)
    return found.chance if found else None


def _tidy(text: str) -> str:
    """A part of a reply without the signs of its layout at both ends."""
    return text.strip(" \t\r\n*_#`|{}\"',-")
