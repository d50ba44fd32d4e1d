"""Thoughts and special tokens of all kinds, and text that only looks like them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthesizeme.visible_text import without_special_tokens, without_thoughts

THOUGHTS = [
    "<think>hm</think>A", "hm</think>A", "<THINK>\nhm\n</THINK>\n\nA", "<thinking>hm</thinking> A", "[THINK]hm[/THINK]A",
    "<reasoning>hm</reasoning>A", "<thought>hm</thought>\nA", "◁think▷hm◁/think▷A", "<seed:think>hm</seed:think>A",
    "<|begin_of_thought|>hm<|end_of_thought|>A", "<|START_THINKING|>hm<|END_THINKING|>A", "<unused94>thought\nhm<unused95>A",
    "<|channel>thought\nhm<channel|>A", "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>A",
    "analysisThey ask.assistantfinalA", "Here is my thought process:\nhm\nHere is my response:\nA",
    "<think>a<think>b</think>c</think>A", "<think>`x` ```code``` hm</think>A", "<think></think>A", "A<think>hm", "A\n<thought>hm",
]  # fmt: skip
KEPT = [
    "use `<think>` and `</think>`", "```xml\n<think>x</think>\n```", "the <thought> element", "an analysis of it", "a < b > c",
    "I think so", "[THINKING OF YOU]", "no\n\nmore\n", " A ",
]  # fmt: skip


@pytest.mark.parametrize("text", THOUGHTS)
def test_thoughts_are_not_seen(text):
    assert without_thoughts(text) == "A"


@pytest.mark.parametrize(
    "text", ["<think>never ends", "<|channel|>analysis<|message|>hm", "hm</think>", "<think>hm</think>"]
)
def test_nothing_is_seen_of_what_only_thinks(text):
    assert without_thoughts(text) == ""


@pytest.mark.parametrize("text", KEPT)
def test_what_is_no_thought_stays_as_it_is(text):
    assert without_thoughts(text) == text


TOKENS = [
    "</s>", "<s>", "<pad>", "<eos>", "<bos>", "<unk>", "[PAD]", "[CLS]", "[SEP]", "[PAD151935]", "<|im_end|>", "<|eot_id|>",
    "<|endoftext|>", "<|end|>", "<end_of_turn>", "<start_of_turn>", "<end_of_utterance>", "<｜end▁of▁sentence｜>", "<|eom_id|>",
    "<｜begin▁of▁sentence｜>", "<EOS_TOKEN>", "<turn|>", "<|turn>", "[|endofturn|]", "<extra_id_0>", "<unused7>", "<EOT>", "[e~[",
    "[gMASK]", "<sop>", "<|return|>", "<seed:eos>", "[/INST]", "<<SYS>>", "<im_end>", "<endoftext>", "<|never seen before|>",
]  # fmt: skip


@pytest.mark.parametrize("token", TOKENS)
def test_special_tokens_are_stripped_at_both_ends_and_stay_inside(token):
    assert without_special_tokens(f"{token} an answer{token}\n{token}{token}") == "an answer"
    inside = f"an answer with {token} inside"
    assert without_special_tokens(inside) == inside
    assert without_special_tokens(token * 3) == ""


@pytest.mark.parametrize(
    "text", ["was <s>old</s>", "<s>old</s> new", "x <b>", "List<T>", "a[0]", "see [1]", "</b>", "`<|im_end|>`", " A\n", "<3", "[END OF FILM]"]
)  # fmt: skip
def test_what_is_no_special_token_stays_as_it_is(text):
    assert without_special_tokens(text) == text


@given(st.text(alphabet="<>|/s[]`thinkpadPAD \n｜◁▷", max_size=60))
def test_stripping_is_done_at_once(text):
    once = without_special_tokens(without_thoughts(text))
    assert len(once) <= len(text)
    assert without_special_tokens(once) == once


@pytest.mark.parametrize(
    ("mark", "taken"), [("<think>", None), ("</think>", 2), ("<|a|>", None), (" ", 0), ("`", 0), ("<|", 0)]
)
def test_marks_without_end_are_read_as_a_few_are_and_in_a_single_pass(mark, taken):
    """Were a mark looked for from every other one again, this would not end."""
    for number in (10, 100_000):
        left = 0 if taken is None else number - taken
        assert without_special_tokens(without_thoughts(mark * number)) == mark * left
