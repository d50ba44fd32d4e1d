"""Thoughts, special tokens and chat templates: the same answer gets the same reward, by every way in."""

from __future__ import annotations

import pytest

from synthesizeme.errors import ConfigError
from synthesizeme.serving import openrlhf, verl
from synthesizeme.serving.loaded import load_reward_model
from synthesizeme.serving.rewards import RewardQuestion, ScalarRewards
from synthesizeme.serving.settings import Settings
from synthesizeme.serving.stripping import taken_apart
from synthesizeme.serving.trl import reward_function
from synthesizeme.types import Comparison, Message

TURNS = [
    ("system", "Be kind."),
    ("user", "Hello: who?"),
    ("assistant", "I am here."),
    ("user", "Where then?"),
]
NAMES = {"system": 0, "user": 1, "assistant": 2}
MARKED = {
    "chatml": (("<|im_start|>system\n", "<|im_start|>user\n", "<|im_start|>assistant\n"), "<|im_end|>\n", ""),
    "phi-4": (
        ("<|im_start|>system<|im_sep|>", "<|im_start|>user<|im_sep|>", "<|im_start|>assistant<|im_sep|>"), "<|im_end|>", "",
    ),
    "kimi": (
        ("<|im_system|>system<|im_middle|>", "<|im_user|>user<|im_middle|>", "<|im_assistant|>assistant<|im_middle|>"),
        "<|im_end|>", "",
    ),
    "llama-3": (
        tuple(f"<|start_header_id|>{role}<|end_header_id|>\n\n" for role in NAMES), "<|eot_id|>", "<|begin_of_text|>",
    ),
    "llama-4": (tuple(f"<|header_start|>{role}<|header_end|>\n\n" for role in NAMES), "<|eot|>", "<|begin_of_text|>"),
    "gemma": (tuple(f"<start_of_turn>{role}\n" for role in ("system", "user", "model")), "<end_of_turn>\n", "<bos>"),
    "gemma-4": (tuple(f"<|turn>{role}\n" for role in ("system", "user", "model")), "<turn|>\n", "<bos>"),
    "deepseek": (("", "<｜User｜>", "<｜Assistant｜>"), "", "<｜begin▁of▁sentence｜>"),
    "phi-3": (tuple(f"<|{role}|>\n" for role in NAMES), "<|end|>\n", ""),
    "zephyr": (tuple(f"<|{role}|>\n" for role in NAMES), "</s>\n", ""),
    "glm": (tuple(f"<|{role}|>\n" for role in NAMES), "", "[gMASK]<sop>"),
    "granite": (tuple(f"<|start_of_role|>{role}<|end_of_role|>" for role in NAMES), "<|end_of_text|>\n", ""),
    "command": (
        tuple(f"<|START_OF_TURN_TOKEN|><|{role}_TOKEN|>" for role in ("SYSTEM", "USER", "CHATBOT")),
        "<|END_OF_TURN_TOKEN|>", "<BOS_TOKEN>",
    ),
    "exaone": (tuple(f"[|{role}|]" for role in NAMES), "[|endofturn|]\n", ""),
    "gpt-oss": (tuple(f"<|start|>{role}<|message|>" for role in NAMES), "<|end|>", ""),
    "apertus": (tuple(f"<|{role}_start|>" for role in NAMES), "<|end|>", "<s>"),
    "seed": (tuple(f"<seed:bos>{role}\n" for role in NAMES), "<seed:eos>", ""),
    "minimax": (tuple(f"]~b]{role}\n" for role in ("system", "user", "ai")), "[e~[\n", "]~!b["),
    "vicuna": (("", "USER: ", "ASSISTANT: "), "\n", ""),
    "plain": (("", "User: ", "Assistant: "), "\n\n", "<s>"),
    "alpaca": (("", "### Instruction:\n", "### Response:\n"), "\n\n", ""),
}  # fmt: skip
"""Marks before each role's turn, after any turn, and before all."""
WRITTEN = {
    name: begin + "".join(marks[NAMES[role]] + text + end for role, text in TURNS) + marks[2]
    for name, (marks, end, begin) in MARKED.items()
} | {
    "llama-2": "<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHello: who? [/INST] I am here. </s><s>[INST] Where then? [/INST]",
    "mistral": "<s>[SYSTEM_PROMPT]Be kind.[/SYSTEM_PROMPT][INST]Hello: who?[/INST]I am here.</s>[INST]Where then?[/INST]",
}


@pytest.fixture
def recorder(stub):
    """A model that keeps what it was asked to score, in `seen`."""
    answer, stub.seen = stub.score, []

    def score(answers):
        stub.seen += [([(turn.role, turn.content) for turn in it.prompt], it.response) for it in answers]
        return answer([it._replace(response="3") for it in answers])

    stub.score = score
    return stub


@pytest.mark.parametrize("name", WRITTEN)
def test_a_template_is_taken_apart_into_its_turns(name):
    found = taken_apart(WRITTEN[name])
    assert found is not None
    assert [(turn.role, turn.content) for turn in found.prompt] == TURNS
    assert found.begun == ""


@pytest.mark.parametrize("begun", ["<think>\n", "<think>\n\n</think>\n\n"])
def test_what_the_template_began_to_think_is_no_answer(recorder, begun):
    said = "so they ask</think>\n\nHere." if begun == "<think>\n" else "Here."
    prompt = (Message(role="user", content=WRITTEN["chatml"] + begun),)
    (found,) = ScalarRewards(recorder).score([RewardQuestion("ann", prompt, said + "<|im_end|>")])
    assert recorder.seen == [(TURNS, "Here.")]
    assert found.stripped == ("template", "thoughts", "tokens")


PLAIN = [
    "Where then?", "What does <|user|> mean in Phi-3?", "Explain <|im_start|>user\nplease", "User: what?",
    "Complete the list:", "What is [INST]?", "Is this right?\n### Notes\nfine", "<b>bold</b>", "[1] or [2]?",
]  # fmt: skip


@pytest.mark.parametrize("text", PLAIN)
def test_ordinary_text_is_no_template(text):
    assert taken_apart(text) is None


THOUGHT = "a long thought\n"
SHOWN = "Here, by the *third* door."
HIDDEN = [
    f"<think>\n{THOUGHT * 30}</think>\n\n{SHOWN}", f"they ask where\n</think>\n{SHOWN}", f"{SHOWN}</s>",
    f"{SHOWN}<｜end▁of▁sentence｜>", f"{SHOWN}</s><pad><pad>", f"{SHOWN}<end_of_utterance>\n", f"<s> {SHOWN} [PAD]",
    f"<|im_start|>assistant\n{SHOWN}<|im_end|>\n<|endoftext|>", f"[THINK]hm[/THINK]{SHOWN}", f"<THINKING>x</THINKING> {SHOWN}",
    f"<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>{SHOWN}<|return|>",
    f"<s><think>a<think>b</think>c</think>{SHOWN}<eos>", f"<|im_start|>assistant\n{SHOWN}", f"<|assistant|>\n{SHOWN}",
    f"<s><|start_header_id|>assistant<|end_header_id|>\n\n{SHOWN}", f"<start_of_turn>model\n{SHOWN}", f" {SHOWN}", f"\n\n{SHOWN}\n\n",
    f"{SHOWN}<|im_end|>\n<|im_start|>user", f"{SHOWN}<|im_end|>\n<|im_start|>user\n", f"{SHOWN}\n<start_of_turn>user\n",
    f"{SHOWN}<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n", f"{SHOWN}<end>", f"{SHOWN}▁</s>", f"{SHOWN}<0x0A>",
    f"{SHOWN}</answer>", f"{SHOWN}</assistant>", f"{SHOWN}<stop>",
    *(
        f"{begin}They ask. {THOUGHT * 9}{end}\n{SHOWN}"
        for begin, end in [
            *((f"<{name}>", f"</{name}>") for name in (
                "analysis", "reason", "reasoning", "cot", "plan", "internal", "antThinking", "thinking_process", "longcat_think",
            )),
            ("[thinking]", "[/thinking]"), ("[Reasoning]", "[/Reasoning]"), ("&lt;think&gt;", "&lt;/think&gt;"),
            ("<s><analysis>", "</analysis>"), ("\\<analysis\\>", "\\</analysis\\>"),
            ('<details type="reasoning" done="true">\n<summary>Thought</summary>\n', "</details>"),
        ]
    ),
]  # fmt: skip
SAID = [
    SHOWN, "<plan>Go by sea.</plan>", "<plan><step>Go</step></plan> is the file.", "<analysis>a</analysis>\n<result>b</result>",
    "<analysis>never closed, and then an answer", "First this.\n<analysis>Then that.</analysis>\nDone.", "```\n<cot>x</cot>\n```\nSo it goes.",
    "<details><summary>More</summary>Text</details>\nAnd this.", "<answer>42</answer>", "It goes <start> to <end>", "Say <|im_start|>user",
    "[Analysis] of it: fine.", "<b>bold</b> text", "&lt;p&gt;x&lt;/p&gt; is a paragraph",
]  # fmt: skip


def ways(model, path):
    """Every way in, each as a function of prompt and response."""
    trl = reward_function(model)
    return {
        "trl": lambda prompt, text: trl([prompt], [text], user_id=["u0"])[0],
        "verl": lambda prompt, text: verl.compute_score(
            "s", text, "t", {"prompt": prompt, "user_id": "u0"}, model=path
        )["score"],
        "openrlhf": lambda prompt, text: float(
            openrlhf.reward_function(path)([prompt + text], [prompt], ["u0"])["rewards"][0]
        ),
    }


@pytest.mark.parametrize("way", ["trl", "verl", "openrlhf"])
def test_an_answer_has_one_reward_however_it_is_wrapped(model, checkpoint, way):
    asked = ways(model, str(checkpoint))[way]
    expected = asked("Where then?", SHOWN)
    for text in HIDDEN:
        assert asked("Where then?", text) == pytest.approx(expected, abs=1e-6), text
    for name, prompt in WRITTEN.items():
        assert asked(prompt, SHOWN) == pytest.approx(expected, abs=1e-6), name


@pytest.mark.parametrize("text", SAID)
def test_what_an_answer_may_contain_is_scored(recorder, text):
    (found,) = ScalarRewards(recorder).score(
        [RewardQuestion("ann", (Message(role="user", content="Q?"),), text)]
    )
    assert (recorder.seen[0][1], found.stripped) == (text, ())


@pytest.mark.parametrize("text", HIDDEN)
def test_whatever_is_not_scored_is_said(recorder, text):
    (found,) = ScalarRewards(recorder).score(
        [RewardQuestion("ann", (Message(role="user", content="Q?"),), text)]
    )
    assert recorder.seen[0][1] == SHOWN
    assert found.stripped


def test_the_server_and_python_give_it_one_reward_too(serve, model, checkpoint):
    live, loaded = serve(model), load_reward_model(checkpoint)
    row = {"user_id": "u0", "prompt": "Where then?"}
    expected = live.post("/v1/score", row | {"response": SHOWN}).json()
    for text in HIDDEN:
        found = live.post("/v1/score", row | {"response": text}).json()
        assert found["stripped"]
        assert found | {"stripped": []} == expected, text
        assert loaded.score("Where then?", text, "u0").value == pytest.approx(expected["value"], abs=1e-6)


def test_the_server_says_what_was_stripped_of_scores_and_margins(serve, model, caplog):
    live = serve(model)
    row = {"user_id": "u0", "prompt": "Where then?", "response": SHOWN}
    plain = live.post("/v1/score", row).json()
    assert plain["stripped"] == []
    both = [live.post("/v1/score", row | {"response": HIDDEN[0] + "</s>"}).json() for _ in range(2)]
    assert both[0] == both[1] == plain | {"stripped": ["thoughts", "tokens"]}
    pair = {"user_id": "u0", "prompt": WRITTEN["gemma"], "first": SHOWN, "second": HIDDEN[1]}
    margin = live.post("/v1/compare", pair).json()
    assert (margin["margin"], margin["stripped"]) == (0, ["template", "thoughts"])
    assert [line.count("said once") for line in caplog.messages] == [1, 1, 1], "once for each kind"
    assert "third" not in caplog.text


@pytest.mark.parametrize(
    ("strip", "left"),
    [
        ("all", "Here."), ("none", "<think>x</think>Here.</s>"), ("thoughts", "Here.</s>"),
        ("tokens", "<think>x</think>Here."), ("tokens+thoughts", "Here."), ("template", "<think>x</think>Here.</s>"),
    ],
)  # fmt: skip
def test_what_is_stripped_is_a_setting(recorder, strip, left):
    scalar = ScalarRewards(recorder, Settings(strip=strip))
    prompt = (Message(role="user", content=WRITTEN["chatml"]),)
    scalar.score([RewardQuestion("ann", prompt, "<think>x</think>Here.</s>")])
    whole = [("user", WRITTEN["chatml"])] if strip == "none" else None
    assert recorder.seen[0][1] == left
    if strip in ("all", "template"):
        assert recorder.seen[0][0] == TURNS
    elif whole:
        assert recorder.seen[0][0] == whole


@pytest.mark.parametrize("strip", ["everything", "", "thoughts,tokens", True, None])
def test_another_setting_is_refused(strip):
    with pytest.raises(
        ConfigError, match="expected all, none, or some of template, thoughts, tokens joined by"
    ):
        Settings(strip=strip)


def test_earlier_answers_lose_their_thoughts_and_no_turn_is_lost(recorder):
    prompt = tuple(
        Message(role=role, content=text)
        for role, text in [
            ("user", "</s>"),
            ("assistant", "<think>x</think>I am."),
            ("user", "So <think> it over"),
        ]
    )
    ScalarRewards(recorder).margins(
        [Comparison(pair_id="1", user_id="ann", prompt=prompt, first="1", second="2")]
    )
    ScalarRewards(recorder).score([RewardQuestion("ann", prompt, "3")])
    assert recorder.seen == [
        ([("user", "</s>"), ("assistant", "I am."), ("user", "So <think> it over")], "3")
    ]
