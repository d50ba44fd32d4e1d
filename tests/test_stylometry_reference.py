"""The quick counts of `synthesizeme.stylometry` beside plain ones: one search of the text per feature."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from synthesizeme.stylometry import FEATURES, measure

WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
SENTENCE = re.compile(r"[.!?]+(?=\s|$|[\"')\]])")
LINES = {
    "bullets": r"^[ \t]*[-*•–][ \t]+\S",
    "numbered": r"^[ \t]*(?:step )?\d{1,2}[.):][ \t]+\S",
    "headings": r"^#{1,6} \S|\*\*[^*\n]+\*\*|^[^\n]{2,50}:[ \t]*$",
    "code": r"```|`[^`\n]+`|^(?: {4}|\t)\S",
    "leaked_markup": r"</?s>|<\|[^|\n]*\|>|<unk>|\[/?inst\]|^[^\w\n]{0,8}(?:user|human|assistant|question|q|input|output|instruction)\s*:"
    r"|^###? ?(?:human|user|instruction|response|input)\b|\\begin\{",
}
COUNTS = {
    "paragraphs": r"\n[ \t]*\n",
    "questions": r"\?(?=\s|$|[\"')*_])",
    "exclamations": r"!+",
    "emoji": r"[\U0001F300-\U0001FAFF\u2600-\u27BF]|(?<!\w)[:;]-?[)D(]",
    "refusals": r"\b(?:i(?:'m| am) (?:sorry|afraid)|i (?:can't|cannot|can not|am unable to|won't|will not)(?: \w+){0,3}"
    r"|i(?:'m| am) (?:not able|unable) to|as an ai(?: \w+)?|as a (?:large )?language model"
    r"|i do(?:n't| not) have (?:personal|an? (?:definitive )?opinion|access)|not appropriate)\b",
    "disclaimers": r"\b(?:it(?:'s| is) (?:important|worth|crucial|essential) to (?:note|remember|keep in mind|consult|understand)"
    r"|please note|keep in mind|consult (?:a|an|your|with)|seek (?:professional|medical|legal)"
    r"|(?:a|your) (?:doctor|physician|lawyer|healthcare provider|licensed professional|qualified professional)"
    r"|not (?:a substitute|financial advice|medical advice|legal advice)|results may vary|disclaimer"
    r"|(?:everyone|every situation) is different|do your own research)\b",
    "examples": r"\b(?:for example|for instance|e\.g|such as|imagine|picture|say you|think of|suppose|to illustrate|example"
    r"|case in point|like when|as an illustration|consider the)\b",
}
RATES = {
    "numbers": r"(?<![\w.])\d[\d.,:/]*%?(?!\s*[.)]\s)",
    "hedging": r"\b(?:may|might|could|perhaps|maybe|possibly|probably|seems?|seemingly|likely|generally|usually|often|tends? to"
    r"|somewhat|it depends|depending on|in some cases|as far as i know|not (?:entirely )?(?:sure|certain)|roughly|arguably"
    r"|i (?:think|believe|guess|suppose))\b",
    "formal": r"\b(?:furthermore|moreover|therefore|thus|hence|consequently|additionally|however|nevertheless|whereas|regarding"
    r"|in accordance with|with respect to|one must|it is advisable|commence|utili[sz]e|obtain|require[sd]?|ensure"
    r"|subsequently|in conclusion|notably|it should be noted|sufficient|prior to|approximately|one should|one may|upon)\b",
    "informal": r"\b\w+'(?:s|re|ll|ve|d|m|t)\b|\b(?:yeah|yep|nope|hey|ok|okay|gonna|wanna|gotta|kinda|sorta|stuff|awesome|cool"
    r"|super|totally|pretty much|a bunch|no worries|guys?|lol|btw|honestly|tons of|yup|dude)\b",
    "warmth": r"\b(?:happy|glad|wonderful|lovely|great question|good luck|you've got this|take care|i understand|i hear you"
    r"|understandable|hope|hopefully|dear|thank you|thanks|congratulations|enjoy|warmly|gentle|gently|kind"
    r"|be kind to yourself|proud|delighted|feel free|friend|that sounds|sorry to hear|sorry you|good for you|cheering|delightful)\b",
    "first_person": r"\b(?:i|me|my|mine|myself|i'(?:m|ve|d|ll)|we|our|us)\b",
    "second_person": r"\b(?:you|your|yours|yourself|you'(?:re|ve|d|ll))\b",
}
TECHNICAL = ("tion", "tions", "ment", "ments", "ity", "ities", "ism", "ology", "ance", "ence", "ical", "esis")
END = re.compile(r"[.!?…:;)\]}\"'”`*>|\U0001F300-\U0001FAFF\uFE0F]\Z")
STOP = (
    "the a an and or but of to in on at for with by from as is are was were be been it its this that these those i you he she "
    "we they my your his her our their me him them what which who how why when where do does did can could should would will "
    "if so not no there about into than then some any please tell give write make"
)


def plain(response, prompt):
    """Values by name, before scaling, of the features whose counting is not that of a single search."""
    raw = response.strip()
    lower = raw.lower().replace("’", "'")
    words = WORD.findall(lower)

    def rate(n):
        return math.sqrt(100 * n / max(20, len(words)))

    found = {name: math.log1p(len(re.findall(p, lower, re.MULTILINE))) for name, p in LINES.items()}
    found |= {name: math.log1p(len(re.findall(p, lower))) for name, p in COUNTS.items()}
    found |= {name: rate(len(re.findall(p, lower))) for name, p in RATES.items()}
    found["formality"] = found.pop("formal") - found.pop("informal")
    found["length"] = math.log1p(len(words))
    found["sentence_length"] = math.log1p(len(words) / max(1, len(SENTENCE.findall(raw))))
    found["word_length"] = sum(len(word) for word in words) / len(words) if words else 4.5
    found["vocabulary"] = math.log(len(set(words))) / math.log(len(words)) if len(words) >= 10 else 1.0
    found["technical"] = rate(sum(word.endswith(TECHNICAL) for word in words))
    wanted = set(WORD.findall(prompt.lower())) - set(STOP.split())
    found["prompt_overlap"] = len(wanted & set(words)) / len(wanted) if wanted else 0.5
    runs = Counter(tuple(words[i : i + 4]) for i in range(len(words) - 3))
    found["repetition"] = 1 - len(runs) / sum(runs.values()) if runs else 0.0
    found["truncated"] = float(len(words) > 8 and END.search(raw) is None)
    return found


def check(response, prompt=""):
    expected = plain(response, prompt)
    for feature, value in zip(FEATURES, measure(response, prompt), strict=True):
        if feature.name not in ("preamble", "closing_offer"):
            assert value == expected.pop(feature.name) / feature.scale, (feature.name, response)
    assert expected == {}


def alternatives(pattern):
    """Texts that a pattern of words matches: one for each way through its groups and options."""
    pattern = pattern.replace(r" \w+", " x").replace(r"\w+", "x").replace("\\b", "").replace(r"\.", ".")
    if group := re.search(r"\(\?:([^()]*)\)(\?|\{0,3\})?", pattern):
        ways = [*group[1].split("|"), *([""] if group[2] else [])]
    elif group := re.search(r"\[([a-z]+)\](\?)?", pattern):
        ways = [*group[1], *([""] if group[2] else [])]
    elif group := re.search(r"([a-z])\?", pattern):
        ways = [group[1], ""]
    else:
        return pattern.split("|")
    return [
        text
        for way in ways
        for text in alternatives(pattern[: group.start()] + way + pattern[group.end() :])
        if text
    ]


LEXICONS = [COUNTS[name] for name in ("refusals", "disclaimers", "examples")]
LEXICONS += [RATES[name] for name in RATES if name != "numbers"]
PHRASES = sorted({phrase for pattern in LEXICONS for phrase in alternatives(pattern)})


def test_the_phrases_are_those_of_the_patterns():
    assert all(any(re.search(pattern, phrase) for pattern in LEXICONS) for phrase in PHRASES)
    assert {"i am unable to x", "a qualified professional", "requires", "tends to", "e.g", "guys"} <= set(
        PHRASES
    )


def test_every_phrase_is_found_by_itself_and_in_a_sentence():
    for phrase in PHRASES:
        for text in (
            phrase,
            f"So {phrase}, and then.",
            f"x-{phrase}'s",
            f"x_{phrase}",
            f"{phrase} {phrase}1",
        ):
            check(text.capitalize())


def pieces():
    """Phrases that patterns name, the words in them, and marks and letters that are like them."""
    words = {word for phrase in PHRASES for word in re.findall(r"[a-z]+", phrase)}
    said = [
        "dude's",
        "a's's's",
        "well-known",
        "x_y",
        "Ok",
        "İ",
        "ſ",
        "٣",
        "é",
        "user",
        "Human:",
        "</s>",
        "\\begin{",
    ]
    marks = [
        *"'’-_.,:;!?#*`()[]<>|\\/%\"…🍚 ",
        "\n",
        "\n\n",
        "    ",
        "\t",
        "1.",
        "23)",
        "3.5%",
        ":)",
        ";-(",
        "- ",
        "<|",
        "|>",
        "**",
    ]
    return sorted(words | set(PHRASES)) + said + marks


texts = st.lists(
    st.tuples(
        st.sampled_from(pieces()), st.sampled_from([" ", " ", " ", " ", "", "'", "-", "_", "\n", ". "])
    ),
    max_size=40,
).map(lambda parts: "".join(piece + gap for piece, gap in parts))


@settings(max_examples=400)
@given(texts | st.text(max_size=120), st.text("abc rice'-_ you", max_size=20))
@example("a's's's't dude's that's ok", "")
@example("It's cool, isn't it? He'll say you're okay.", "")
@example("i think may. I THINK of e.g. such as for example an example", "")
def test_every_count_is_that_of_a_plain_search(response, prompt):
    check(response, prompt)


SAMPLE = Path(__file__).resolve().parents[1] / "data" / "sample" / "pairs.jsonl"


@pytest.mark.parametrize("side", ["chosen", "rejected"])
def test_every_count_is_that_of_a_plain_search_on_written_answers(side):
    for line in SAMPLE.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        check(row[side][-1]["content"], row["prompt"][-1]["content"])
