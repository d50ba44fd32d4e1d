"""What each expert reads from a prompt and a response: few numbers, none of which needs a network."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from math import log, log1p
from typing import Any

import numpy as np

from reward_models.floor._texts import Prompt, Text
from reward_models.floor._vectors import F, Vectors

WINDOW = 24
"""Words of a window in which junk and altered word order are looked for."""
FEWEST_SPOKEN, STRETCH = 20, 60
"""Words from which on a text can say too little for its length, and tokens of the stretch that says least."""
_REFUSAL = re.compile(
    r"\b(?:i(?:'m| am)? (?:sorry|afraid|unable)|as an ai|not able to|against my|my guidelines|unable to|"
    r"i (?:can(?:'t|not)|could ?n(?:'|o)t|won't|will not) (?:help|assist|do|answer|provide|write|create|give|"
    r"tell|discuss|fulfil|comply|engage)|cannot (?:help|assist|do|answer|provide)|not allowed|must decline|"
    r"inappropriate)\b"
)
_RATER = re.compile(
    r"\b(?:evaluator|rater|grader|judge|ignore (?:all|any|the|previous)|previous instructions|"
    r"highest (?:possible )?(?:score|rating|reward)|(?:this|the) (?:is the best|response is|"
    r"answer (?:above )?is)|best (?:response|answer|option)|rate (?:this|it|me)|10 out of 10|10/10|score of|"
    r"reward ?=|user prefers|choose (?:it|this)|full marks|prefer this)\b"
)
_OPENING = re.compile(
    r"^(?:sure|certainly|of course|absolutely|as requested|here(?:'s| is| are)|great question|okay|ok|yes|"
    r"gladly|no problem|thank you for|let me|i(?:'d| would) be happy|happy to|below)\b"
)
_ENDS = re.compile(r"[.!?…。！？|}\])>\"”’`*_:;)]\s*$|[\U0001F300-\U0001FAFF\u2600-\u27BF]\s*$")
_SYMBOL = re.compile(r"[^\w\s.,!?'\"’“”:;()-]|_")
_ASCII_LETTER, _VOWEL, _ASCII_SIGN = (re.compile(it) for it in ("[A-Za-z]", "[aeiouyAEIOUY]", r"[$+<=>^`|~]"))
_CODE_LINE = re.compile(r"[;{}]\s*$|^\s*(?:def |for |if .*:|return|import |#include|const |let |SELECT )")
_FUNCTION_WORD = re.compile(
    r"\b(?:the|a|an|of|to|and|or|in|with|for|that|is|are|by|as|at|on|from|but|which|this)$"
)
_BLOCKS = (
    "LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "CJK", "HIRAGANA", "KATAKANA", "HANGUL",
    "THAI",
)  # fmt: skip


def copying(prompt: Prompt, response: Text) -> list[float]:
    """How much of the response is the prompt, and how much of the prompt, its instruction too, is in it."""
    said, asked = response.words, prompt.vocabulary
    if not said or not asked:
        return [0.0] * 9
    copied = sum(word in asked for word in said) / len(said)
    covered = sum(word in response.vocabulary for word in asked) / len(asked)
    in_pairs = _share(response.bigrams, prompt.pairs) if response.bigrams else copied
    of_pairs = _share(prompt.bigrams, response.pairs) if prompt.bigrams else covered
    pieces = [_share(list(pairwise(p)), response.pairs) for p in prompt.pieces]
    least = min(pieces, default=of_pairs)
    new = log1p(sum(word not in asked for word in said))
    asked_for = prompt.cues["copy"]
    return [
        copied, covered, in_pairs, of_pairs, least, in_pairs * least, of_pairs * least / (1 + new), new,
        asked_for * in_pairs,
    ]  # fmt: skip


def repetition(prompt: Prompt, response: Text) -> list[float]:
    """How much of the response was said before in it."""
    words, raw, again = response.words, response.text.encode(), response.again
    n = len(words)
    sentences = Counter(s.lower() for s in response.sentences if len(s) > 8)
    most = max(sentences.values(), default=1)
    in_repeated = sum(k * len(s) for s, k in sentences.items() if k > 1) / max(1, len(response.text))
    ratio = len(zlib.compress(raw, 1)) / max(1, len(raw)) if len(raw) > 80 else 0.75
    usual = 0.9 - 0.055 * log(max(80, len(raw)) / 80)
    half = n // 2
    doubled = float(n >= 8 and words[:half] == words[n - half :])
    runs = max((len(m.group()) for m in re.finditer(r"([^\s\-_=|.*#])\1{4,}", response.text)), default=0)
    return [
        again, log(most), in_repeated, usual - ratio, doubled, log1p(runs), prompt.cues["repetition"] * again,
        prompt.cues["list"] * again,
    ]  # fmt: skip


def form(prompt: Prompt, response: Text) -> list[float]:
    """Signs of code, markup and tables, and whether anything like it was asked for."""
    text = response.text
    n = max(1, len(text))
    asked = max(
        prompt.cues["code"],
        prompt.cues["markup"],
        prompt.cues["junk"],
        float(symbols_of(prompt) > 0.04),
    )
    braces = sum(text.count(c) for c in "{}[]") / n
    angles = len(re.findall(r"</?\w+[^<>]*>", text)) * 6 / n
    bars = sum(text.count(c) for c in "|\\") / n
    lines = text.splitlines() or [""]
    codish = sum(_CODE_LINE.search(line) is not None for line in lines) / len(lines)
    symbols = symbols_of(response)
    shape = [min(braces, 0.3), min(angles, 1.0), min(bars, 0.3), codish, min(symbols, 0.5)]
    return [*shape, *(value * asked for value in shape), asked, sum(map(str.isdigit, text)) / n]


def capitals(prompt: Prompt, response: Text) -> list[float]:
    """Shouting that was not asked for."""
    share, asked = upper_share(response.text), upper_share(prompt.text)
    n = log1p(len(response.words))
    cue = max(prompt.cues["capitals"], prompt.cues["code"], prompt.cues["junk"])
    return [share, share * min(n, 3.0), share * asked, share * cue]


def script(prompt: Prompt, response: Text, vectors: Vectors) -> list[float]:
    """Another script or language than the prompt's, with none asked for."""
    mine, theirs = _scripts(response.text), prompt.once("scripts", lambda: _scripts(prompt.text))
    if not mine or not theirs:
        return [0.0] * 5
    foreign = sum(share for block, share in mine.items() if theirs.get(block, 0.0) < 0.02)
    said, asked = vectors.languages(response), vectors.languages(prompt)
    # How much better another language explains the response than that of the prompt does.
    own = int(np.argmax(asked))
    apart = float(said.max() - said[own]) if asked[own] > 0.1 and len(response.words) >= 4 else 0.0
    cue = prompt.cues["language"]
    return [foreign, apart, foreign * cue, apart * cue, apart * min(log1p(len(response.words)), 3.0)]


def order(prompt: Prompt, response: Text, vectors: Vectors) -> list[float]:
    """How sure the order of the words is that of a text."""
    logits = vectors.order(response.text)
    if len(logits) < 5:
        return [0.0] * 12
    known = float(vectors.languages(response).max())
    prose = min(1.0, known / 0.35)
    mean, low = float(logits.mean()), float((logits < -1).mean())
    size = min(log(len(logits)), 5.0)
    asked = max(prompt.cues["code"], prompt.cues["markup"], prompt.cues["junk"], prompt.cues["language"])
    root = min(len(logits), 150) ** 0.5
    known_pairs = prompt.once("pairs", lambda: frozenset(vectors.pairs(prompt.text).tolist()))
    total, worst = _altered(logits, vectors.pairs(response.text).tolist(), known_pairs)
    return [
        mean, mean * root, mean * prose * root, low, prose, size, asked, symbols_of(response), total,
        total * prose, worst, worst * prose,
    ]  # fmt: skip


def _altered(logits: F, pairs: Sequence[int], asked: frozenset[int]) -> tuple[float, float]:
    """Log-likelihood ratios of a text in which some gaps were altered: of all of it, and of its worst window.

    A pair of words counts once, and not at all where the prompt has it too. In the whole text a tenth of the
    gaps is taken to be altered, the ratio divided by the root of their number; in a window of `WINDOW` gaps
    three tenths.
    """
    first = {pair: place for place, pair in reversed(list(enumerate(pairs))) if pair not in asked}
    odds = -logits[sorted(first.values())].astype(np.float64)
    if len(odds) < 5:
        return 0.0, 0.0
    total = np.logaddexp(log(0.9), log(0.1) + odds).sum() / len(odds) ** 0.5
    third = np.logaddexp(log(0.7), log(0.3) + odds)
    return float(total), float(np.convolve(third, np.ones(min(WINDOW, len(odds))), "valid").max())


def content(prompt: Prompt, response: Text, vectors: Vectors) -> list[float]:
    """How much is said for the number of words, and how much of that is the prompt's."""
    n = len(response.words)
    if n < FEWEST_SPOKEN:
        return [0.0] * 9
    ids, meaning = vectors.ids(response.text), vectors.meaning(response.text)
    says = meaning.weights > 0.3
    said = float(meaning.weights[says].sum())
    asked_ids = prompt.once("ids", lambda: frozenset(vectors.meaning(prompt.text).ids.tolist()))
    mine = np.array([token not in asked_ids for token in meaning.ids.tolist()], dtype=bool)
    own = float(meaning.weights[says & mine].sum())
    fresh = np.zeros(len(ids))
    fresh[np.unique(ids, return_index=True)[1]] = 1.0
    told = np.where(vectors.says[ids] > 0.3, vectors.says[ids], 0.0)
    width = min(STRETCH, len(ids))
    least = float(np.convolve(told * fresh, np.ones(width), "valid").min()) / width
    words = len(response.vocabulary) / n
    asked = max(prompt.cues[cue] for cue in ("repetition", "list", "code", "markup", "junk"))
    return [
        said / n, said / n**0.5, own / n, log(n), words, response.again, float(told.mean()), least, asked,
    ]  # fmt: skip


def junk(prompt: Prompt, response: Text, vectors: Vectors) -> list[float]:
    """Whether the worst window of the response is made of words at all."""
    found = [_junk(window, vectors) for window in _windows(response.text)]
    if not found:
        return [0.0] * 17
    values = np.array(found)
    # The window whose words are the least likely.
    worst = values[np.argmin(values[:, 0])]
    asked = max(prompt.cues["code"], prompt.cues["markup"], prompt.cues["junk"])
    foreign = prompt.cues["language"]
    base = prompt.once("junk", lambda: _junk(prompt.text, vectors))
    return [
        *worst,
        worst[0] - min(base[0], -6.0),
        worst[1] - base[1],
        *(worst[:3] * asked),
        worst[0] * foreign,
        asked,
        foreign,
        float(values[:, 0].max() - worst[0]),
    ]


def relevance(prompt: Prompt, response: Text, vectors: Vectors) -> list[float]:
    """How near the response's words are to the prompt's."""
    asked, said = vectors.meaning(prompt.text), vectors.meaning(response.text)
    if not len(asked.ids) or not len(said.ids):
        return [0.0] * 19
    near = asked.units @ said.units.T
    forward = float(near.max(axis=1) @ asked.weights / asked.weights.sum())
    backward = float(near.max(axis=0) @ said.weights / said.weights.sum())
    cosine = float(asked.mean @ said.mean)
    rank, lead = vectors.rank(prompt.text, response.text)
    content = asked.weights > 0.3
    best = np.sort(near.max(axis=1)[content]) if content.any() else near.max(axis=1)
    shared = sum(word in response.stems for word in prompt.content) / max(1, len(prompt.content))
    short = min(log1p(len(response.words)), 3.5)
    cue = prompt.cues
    code, elsewhere = max(cue["code"], cue["markup"]), max(cue["language"], cue["junk"])
    return [
        cosine, forward, backward, float(best[-1]), float(best[-3:].mean()), shared, cosine * short,
        forward * short, short, code, code * cosine, elsewhere, elsewhere * cosine, log1p(len(prompt.words)),
        rank, lead, rank * short, float(asked.weights[content].sum()),
        float(said.weights[said.weights > 0.3].sum()),
    ]  # fmt: skip


def size(prompt: Prompt, response: Text, vectors: Vectors) -> list[float]:
    """How much shorter than expected after this prompt."""
    n = len(response.words) + 0.25 * _signs(response.text[:200])
    begin = response.text[:400]
    wide = 0.0 if begin.isascii() else sum(unicodedata.category(c) == "Lo" for c in begin) / 2
    here = log1p(max(n, wide))
    expected = float(vectors.expected(prompt)[0])
    cue = prompt.cues
    letters = sum(map(str.isalnum, response.text))
    marks = float(letters == 0)
    short = max(0.0, 1.6 - here)
    one = float(letters == 1)
    return [
        here, min(here, 2.2), expected - here, max(0.0, expected - here - 1), short, short * cue["short"],
        short * cue["yes_no"], marks, marks * cue["emoji"], marks * cue["code"], short * cue["junk"], one,
        one * cue["short"], short * float(len(prompt.words) < 8),
    ]  # fmt: skip


def brevity(prompt: Prompt, response: Text, vectors: Vectors) -> list[float]:
    """How few words answer a prompt that asks for a piece of writing, an explanation or several things."""
    if not prompt.cues["piece"]:
        return [0.0] * 8
    n = len(response.words)
    here = log1p(n + 0.25 * _signs(response.text[:200]))
    expected = float(vectors.expected(prompt)[0])
    few = max(0.0, 2.4 - here)
    asked, said = vectors.meaning(prompt.text), vectors.meaning(response.text)
    near = float(asked.mean @ said.mean) if len(asked.ids) and len(said.ids) else 0.0
    shared = float(any(word in response.stems for word in prompt.content))
    return [
        1.0, few, max(0.0, 1.6 - here), max(0.0, expected - here - 1), few * near, few * shared,
        float(n < 3), few * float(n >= 3 and has_ended(response.text)),
    ]  # fmt: skip


def stance(prompt: Prompt, response: Text, vectors: Vectors) -> list[float]:
    """A refusal, an opening or a word to the rater, and nothing else."""
    text = response.text.lower()
    n = max(1, len(response.words))
    refusal = float(bool(_REFUSAL.search(text))) * min(1.0, 25 / n)
    rater = len(_RATER.findall(text)) * min(1.0, 20 / n)
    opening = float(bool(_OPENING.search(text))) * min(1.0, 8 / n)
    ends = float(text.endswith(":"))
    near = vectors.near(prompt.text, response.text)
    harm = prompt.cues["harm"]
    quoted = max(prompt.cues["short"], prompt.cues["copy"])
    return [
        refusal, refusal * harm, refusal * near, rater, opening, opening * near, opening * ends,
        ends * min(1.0, 20 / n), harm, rater * quoted,
    ]  # fmt: skip


def ending(prompt: Prompt, response: Text) -> list[float]:
    """Whether the text stops before its end."""
    text = response.text
    if not text or len(response.words) < 6:
        return [0.0] * 7
    ended = float(has_ended(text))
    last = text.splitlines()[-1].strip()
    line = bool(re.match(r"^(?:[-*•]|\d+[.)])\s", last))
    stops = sum(c in ".!?" for c in text) / max(1, len(response.sentences))
    function = float(_FUNCTION_WORD.search(text.lower()) is not None)
    opened = (text.count("(") > text.count(")")) + text.count("```") % 2 + text.count('"') % 2
    comma = float(text[-1] in ",-–(")
    odd = max(prompt.cues["code"], prompt.cues["markup"], prompt.cues["list"])
    open_end = 1 - ended
    return [
        open_end, open_end * min(1.0, stops), function, float(opened), comma, open_end * line, open_end * odd
    ]  # fmt: skip


def has_ended(text: str) -> bool:
    """Whether a text ends with a mark that sentences, code or emphasis end with."""
    return bool(_ENDS.search(text))


def _share(pairs: Sequence[tuple[str, str]], among: frozenset[tuple[str, str]]) -> float:
    return sum(pair in among for pair in pairs) / len(pairs) if pairs else 0.0


def symbol_share(text: str) -> float:
    """Share of characters that are neither letters, digits, white space nor ordinary punctuation."""
    return len(_SYMBOL.findall(text)) / max(1, len(text))


def symbols_of(text: Text) -> float:
    """`symbol_share` of a text, counted once."""
    return text.once("symbols", lambda: symbol_share(text.text))


def upper_share(text: str) -> float:
    """Share of capitals among the letters that could be one; 0 for few letters."""
    upper = sum(map(str.isupper, text))
    cased = upper + sum(map(str.islower, text))
    return upper / cased if cased > 10 else 0.0


def _signs(text: str) -> int:
    """Symbols, as emoji are."""
    if text.isascii():
        return len(_ASCII_SIGN.findall(text))
    return sum(unicodedata.category(c)[0] == "S" for c in text)


def _scripts(text: str) -> dict[str, float]:
    """Share of each script among some of the letters of a text."""
    letters = [c for c in text[:600] if c.isalpha()]
    if len(letters) < 3:
        return {}
    counts = Counter("LATIN" if c.isascii() else _block(c) for c in letters)
    return {block: n / len(letters) for block, n in counts.items()}


def _block(letter: str) -> str:
    name = unicodedata.name(letter, "")
    found = next((block for block in _BLOCKS if name.startswith(block)), "OTHER")
    return "CJK" if found in ("HIRAGANA", "KATAKANA") else found


def _windows(text: str) -> list[str]:
    """Stretches of about `WINDOW` words, by lines and within them; the whole text if it is short."""
    spans = [match.span() for match in re.finditer(r"\S+", text)]
    if len(spans) <= WINDOW:
        return [text] if spans else []
    cuts = list(range(0, len(spans) - WINDOW // 2, WINDOW))
    ends = [*cuts[1:], len(spans)]
    return [text[spans[a][0] : spans[b - 1][1]] for a, b in zip(cuts, ends, strict=True)]


def _junk(text: str, vectors: Vectors) -> list[Any]:
    ids = vectors.ids(text)
    pieces = text.split()
    n = max(1, len(text))
    likely = float(vectors.likelihood[ids].mean()) if len(ids) else 0.0
    whole = sum(bool(re.fullmatch(r"\W*\w+\W*", p)) for p in pieces)
    known = vectors.known(ids)
    longest = max(map(len, pieces), default=0)
    letters = sum(map(str.isalpha, text)) / n
    digits = sum(map(str.isdigit, text)) / n
    ascii_letters = len(_ASCII_LETTER.findall(text))
    vowels = len(_VOWEL.findall(text)) / ascii_letters if ascii_letters > 5 else 0.38
    return [
        likely, len(ids) / n, log1p(longest), letters, digits, abs(vowels - 0.38),
        whole / max(1, len(pieces)), known,
    ]  # fmt: skip
