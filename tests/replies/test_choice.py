"""Replies of many models, languages and layouts are read; what a person would call unclear never is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthesizeme.replies import UnclearError, read_choice
from synthesizeme.replies._page import page
from synthesizeme.visible_text import thoughts

HERE = Path(__file__).parent


def rows(*names):
    return [
        json.loads(line)
        for name in names
        for line in (HERE / f"{name}.jsonl").read_text("utf-8").splitlines()
    ]


CLEAR = rows("clear")
"""Replies with what they say: ``is``, and ``p``, the chance of the first that they state."""
UNCLEAR = rows("unclear")
UNSEEN = rows("unseen")
"""Replies of other kinds, written before any rule was."""
HARD = rows("never")
"""Replies that a person understands and that may stay unread; ``not`` is the side that they never say."""
ENGLISH = [row["reply"] for row in CLEAR if row["reply"].isascii() and not row.get("cut_off")]


def reading(reply, cut_off=False):
    """(side, P(first)) of a reply; (None, None) where it is unclear."""
    try:
        said = read_choice(reply, cut_off=cut_off)
    except UnclearError:
        return None, None
    if said.side == "tie":
        return "tie", 0.5
    sure = 1.0 if said.confidence is None else max(said.confidence, 0.5)
    return said.side, round(sure if said.side == "first" else 1 - sure, 9)


def expected(row):
    side = row.get("is")
    bare = {"first": 1.0, "second": 0.0, "tie": 0.5, None: None}[side]
    return side, row.get("p", bare)


@pytest.mark.parametrize(
    ("corpus", "least"), [(CLEAR, 150), (UNCLEAR, 100), (UNSEEN, 20)], ids=["clear", "unclear", "unseen"]
)
def test_every_reply_is_read_as_a_person_would(corpus, least):
    assert len(corpus) >= least
    wrong = [
        (row["reply"], expected(row), found)
        for row in corpus
        if (found := reading(row["reply"], row.get("cut_off", False))) != expected(row)
    ]
    assert wrong == []


def test_a_reply_that_is_hard_to_read_is_never_read_as_the_other_side():
    assert len(HARD) >= 100
    assert [
        row["reply"] for row in HARD if reading(row["reply"])[0] not in (None, EXCHANGE[row["not"]])
    ] == []


SCORES = st.sampled_from(["{}/10", "{}%", "{} points", "({}/10)", "{}/10 - too long", "{}/10. It is warm."])
NAMES = st.sampled_from(
    [("Response 1", "Response 2"), ("First response", "Second response"), ("Response A", "Response B"),
     ("**Response 1**", "**Response 2**"), ("- First", "- Second"), ("Antwort 1", "Antwort 2")]
)  # fmt: skip


@given(
    NAMES, SCORES, st.integers(0, 10), st.integers(0, 10), st.booleans(), st.sampled_from(["First", "Second"])
)
def test_scores_of_both_above_a_verdict_never_change_it(names, score, one, two, turned, side):
    shown = [f"{name}: {score.format(n)}" for name, n in zip(names, (one, two), strict=True)]
    above = "\n".join(reversed(shown) if turned else shown)
    assert reading(f"Reasoning: short.\n{above}\nPreference: {side}\nConfidence: 85") == (
        side.lower(),
        0.85 if side == "First" else 0.15,
    )
    assert reading(f"{above}\n\nVerdict: {side}")[0] == side.lower()


@given(
    st.sampled_from(["First: {}%, Second: {}%", "A={}/100, B={}/100", "First ({}) Second ({})",
                     "First - {}%; Second - {}%", "Response 1: {}/100\nResponse 2: {}/100"]),
    st.integers(0, 100), st.integers(0, 100), st.sampled_from(["Preference: ", "Verdict:\n", "偏好：", "Präferenz: "]),
)  # fmt: skip
def test_scores_of_both_behind_a_label_are_compared(layout, one, two, label):
    higher = None if one == two or {one, two} == {1, 2} else "first" if one > two else "second"
    if {one, two} == {1, 2} and reading(label + layout.format(one, two))[0] is not None:
        higher = "first" if one > two else "second"  # places are told from scores by a unit
    assert reading(label + layout.format(one, two))[0] == higher


@given(st.sampled_from(["/", "|", " | ", " – ", " - ", ";", " • ", " : ", " \\ ", " or ", " and ", ", ", " versus ", "\n",
                        " ≥ ", " <-> ", ", then ", " & "]),
       st.sampled_from(["Preference: ", "**Preference:** ", "Verdict: ", "偏好：", "Preferencia: ", "Предпочтение: "]),
       st.sampled_from([("First", "Second"), ("A", "B"), ("Response 1", "Response 2"), ("第一", "第二"),
                        ("primera", "segunda"), ("первый", "второй")]), st.booleans())  # fmt: skip
def test_both_without_an_order_are_unclear(sign, label, names, turned):
    left, right = reversed(names) if turned else names
    assert reading(f"{label}{left}{sign}{right}")[0] is None


@given(st.sampled_from([("[ ]", "[x]"), ("[ ]", "[X]"), ("☐", "☑"), ("❌", "✅"), ("( )", "(x)"), ("✗", "✓")]),
       st.sampled_from([("First", "Second"), ("Response A", "Response B"), ("第一个", "第二个"), ("la primera", "la segunda")]),
       st.sampled_from(["", "Preference:\n", "Verdict:\n", "It is short.\n\n"]), st.booleans())  # fmt: skip
def test_the_ticked_box_is_the_choice(boxes, names, before, first):
    one, two = reversed(boxes) if first else boxes
    assert reading(f"{before}{one} {names[0]}\n{two} {names[1]}")[0] == ("first" if first else "second")
    assert reading(f"{before}- {boxes[0]} {names[0]}\n- {boxes[0]} {names[1]}")[0] is None


EXCHANGE = {"first": "second", "second": "first", "1st": "2nd", "former": "latter", "latter": "former"}


def exchanged(reply):
    def other(match):
        word = EXCHANGE[match[0].lower()]
        return word.upper() if match[0].isupper() else word.capitalize() if match[0][0].isupper() else word

    return re.sub(rf"\b(?:{'|'.join(EXCHANGE)})\b", other, reply, flags=re.IGNORECASE)


def test_exchanging_first_and_second_exchanges_the_verdict():
    for reply in ENGLISH:
        side, p = reading(reply)
        if exchanged(reply) == reply or re.search(r"\b(?:[AB]|[12]|at first sight)\b", reply):
            continue
        wanted = (side, p) if side == "tie" else (EXCHANGE[side], round(1 - p, 9))
        assert reading(exchanged(reply)) == wanted, reply


WRAPPINGS = {
    "white space": "\n\n  {}  \n\n",
    "thoughts": "<think>\nPreference: First? Preference: Second? I cannot tell.\n</think>\n\n{}",
    "an end mark": "{}<|im_end|>",
    "an end mark and more": "{}</s>\n<s>Preference: Second\nPreference: First",
    "a final channel": "<|channel|>analysis<|message|>Preference: First<|end|>"
    "<|start|>assistant<|channel|>final<|message|>{}",
    "windows lines": None,
}


@pytest.mark.parametrize("name", list(WRAPPINGS))
@pytest.mark.parametrize("corpus", [CLEAR, UNCLEAR], ids=["clear", "unclear"])
def test_what_stands_around_an_answer_changes_nothing(name, corpus):
    for row in corpus:
        reply, cut_off = row["reply"], row.get("cut_off", False)
        if cut_off or re.search(
            r"<\W*(?:think|reasoning|thought)|THINK|channel|think▷|^analysis|</s>|<\|im", reply
        ):
            continue
        if not reply.strip(" .{}`json\n"):
            continue
        wrapped = (
            reply.replace("\n", "\r\n") if WRAPPINGS[name] is None else WRAPPINGS[name].replace("{}", reply)
        )
        assert reading(wrapped) == expected(row), wrapped


@pytest.mark.parametrize("side", ["First", "Second"])
@pytest.mark.parametrize(
    "sentence",
    [
        "The user prefers the {} response.", "The {} response is better.", "I would choose the {} one.",
        "The better response is the {}.", "This user would go with the {} response.",
    ],
)  # fmt: skip
def test_what_takes_a_sentence_back_makes_it_unclear(sentence, side):
    said = sentence.format(side.lower())
    assert reading(said)[0] == side.lower()
    inner = said[0].lower() + said[1:]
    for changed in (
        f"I don't think {inner}", f"It is not true that {inner}", f"If the user is in a hurry, {inner}", f"Maybe {inner}",
        f"I doubt that {inner}", f"Some would say that {inner}", f"Would you say that {said[:-1]}?",
        f"{said[:-1]} if it is correct.", f"{said[:-1]}, or perhaps not.", f"{said} Or maybe not. I can't tell.",
        f"{said} Wait, no.", f'A response that says "{said}" is cheating.', f"Nobody can say whether {inner}",
    ):  # fmt: skip
        assert reading(changed)[0] is None, changed


@given(st.text(alphabet="abt 12.?\n:*-/(){}\"'|<>_firstecondprw", max_size=200))
def test_any_text_is_read_or_refused_and_keeps_its_places(text):
    reading(text)
    reading(text, cut_off=True)
    assert len(page(text)[0]) == len(text)


@given(st.sampled_from(CLEAR), st.sampled_from(CLEAR))
def test_what_follows_a_heading_of_the_prompt_is_not_read(row, invented):
    reply = row["reply"]
    tail = f"\n\nConversation:\nHow deep is it?\nFirst response:\nSix feet.\nSecond response:\nNine.\n{invented['reply']}"
    thought_before = any(start == 0 for start, _ in thoughts(tail))  # a final channel, the end of a thought
    if row.get("cut_off") or re.search(r"\bdraft\b|</?\w+>|<\|", reply) or thought_before:
        return
    for cut_off in (False, True):
        assert reading(reply + tail, cut_off) == expected(row)


@pytest.mark.parametrize(
    ("reply", "reasoning"),
    [
        ("Reasoning: It is short.\nIt is warm.\nPreference: First", "It is short.\nIt is warm."),
        ("**Reasoning:** It is short.\n\n**Preference:** First", "It is short."),
        ("Preference: First\nReasoning: It is short.\nConfidence: 80", "It is short."),
        ("It is short.\nPreference: First", "It is short."),
        ("<think>no</think>Reasoning: Short.\nPreference: First", "Short."),
        ("Reasoning: One.\nPreference: First\nWait.\nPreference: Second", "One."),
        ('{"reasoning": "It is short.", "preference": "First"}', "It is short."),
        ("<reasoning>It is short.</reasoning>\n<preference>First</preference>", "It is short."),
        ("Preference: First", ""),
        ("理由：更简洁。\n偏好：第一", "更简洁。"),
    ],
)
def test_the_reasoning_is_what_is_said_and_never_another_verdict(reply, reasoning):
    assert read_choice(reply).reasoning == reasoning


@pytest.mark.parametrize(
    ("reply", "stood", "rival"),
    [
        ("Preference: Second", "Second", "first"),
        ("Preference: Response B", "B", "a"),
        ("偏好：第二个", "二个", "一"),
        ("<think>First</think> The user prefers the first response.", "first response.", "second"),
    ],
)
def test_the_place_is_where_the_two_responses_differ(reply, stood, rival):
    said = read_choice(reply)
    assert reply[said.place :].startswith(stood)
    assert said.words[1] == rival


def test_a_long_reply_takes_no_long_time():
    loop = "The first response is better if the user likes it. " * 100
    assert reading(loop)[0] is None
    assert reading(loop + "\nPreference: Second")[0] == "second"
