"""A real transformers model in this process: a random Llama of a few thousand weights, made on the spot."""

from __future__ import annotations

import importlib.util
import json
import math
import re
from collections import Counter

import pytest
import tiny_llama

from synthesizeme.backends import ModelSettings, Question, Session, open_model
from synthesizeme.errors import BackendError, MissingExtraError, install_line
from synthesizeme.judges.messages import RATING, VERDICT, read_verdict
from synthesizeme.types import Failure, Message

HAS_TORCH = all(importlib.util.find_spec(name) for name in ("torch", "transformers"))
needs_torch = pytest.mark.skipif(
    not HAS_TORCH, reason="torch and transformers are not installed (extra 'hf')"
)
PROMPT = "is the user better"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_llama.make(tmp_path_factory.mktemp("llama"))


def ask_for(text: str, sample_index: int = 0) -> Question:
    system = Message(role="system", content="please answers")
    return Question((system, Message(role="user", content=text)), sample_index)


def ask(folder, questions, *, concurrency=16, **settings):
    model = open_model(f"hf:{folder}", ModelSettings(**{"max_tokens": 8, "device": "cpu", **settings}))
    with Session(model, concurrency=concurrency) as session:
        return session.ledger().ask(questions)


@pytest.mark.skipif(HAS_TORCH, reason="torch and transformers are installed")
def test_without_torch_the_pip_line_is_told():
    with pytest.raises(MissingExtraError, match=f"hf:some/model.*{re.escape(install_line('hf'))}"):
        open_model("hf:some/model")


@needs_torch
def test_greedy_replies_and_probabilities_are_those_of_transformers(folder):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    answer = ask(folder, [ask_for(PROMPT)], temperature=0.0)[0]

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    ids = tokenizer(f"<system> please answers </s><user> {PROMPT} </s><assistant>", return_tensors="pt")[
        "input_ids"
    ]
    said = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False)
    assert answer.text == tokenizer.decode(said[0, ids.shape[1] :])
    assert (answer.prompt_tokens, answer.completion_tokens, answer.cut_off) == (ids.shape[1], 8, True)
    with torch.no_grad():
        logits = model(said).logits[0, ids.shape[1] - 1 : -1]
    logits[:, : len(tiny_llama.SPECIAL)] = -torch.inf  # the model's own settings suppress these
    logprobs = logits.log_softmax(-1)
    for position, token in enumerate(answer.tokens):
        best = logprobs[position].topk(5)
        assert [text for text, _ in token.alternatives] == [tokenizer.decode([int(i)]) for i in best.indices]
        assert [value for _, value in token.alternatives] == pytest.approx(best.values.tolist(), abs=1e-4)
        assert token.text == token.alternatives[0][0]


@needs_torch
def test_a_reply_does_not_depend_on_its_batch(folder):
    questions = [ask_for("long " * n + PROMPT) for n in range(0, 24, 3)]
    alone = ask(folder, questions, concurrency=1, temperature=0.0)
    together = ask(folder, questions, batch_size=5, temperature=0.0)
    assert [a.text for a in alone] == [a.text for a in together]
    for one, other in zip(alone, together, strict=True):
        for mine, theirs in zip(one.tokens, other.tokens, strict=True):
            assert dict(mine.alternatives) == pytest.approx(dict(theirs.alternatives), abs=1e-4)


@needs_torch
def test_sampling_is_seeded_by_prompt_and_sample_and_not_by_batch(folder):
    questions = [ask_for(PROMPT, index) for index in range(6)]
    first = [a.text for a in ask(folder, questions, temperature=1.0)]
    again = [a.text for a in ask(folder, questions[::-1], concurrency=2, temperature=1.0)][::-1]
    assert first == again
    assert len(set(first)) == 6


@needs_torch
@pytest.mark.parametrize("temperature", [0.5, 1.5])
def test_samples_follow_the_distribution_at_the_users_temperature(folder, temperature):
    n = 600
    questions = [ask_for(PROMPT, index) for index in range(n)]
    answers = ask(folder, questions, temperature=temperature, max_tokens=1, batch_size=100, concurrency=100)
    reported = dict(answers[0].tokens[0].alternatives)  # at temperature 1, the 5 likeliest and the one drawn
    drawn = Counter(answer.tokens[0].text for answer in answers)
    (a, p), (b, q) = sorted(reported.items(), key=lambda item: -item[1])[:2]
    odds = math.exp((p - q) / temperature)
    expected = odds / (1 + odds)
    trials = drawn[a] + drawn[b]
    assert trials > n / 4
    assert drawn[a] / trials == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / trials))


@needs_torch
def test_without_a_temperature_the_likeliest_is_taken_whatever_the_models_own_settings_say(folder, tmp_path):
    warm = tiny_llama.make(tmp_path / "warm")
    settings = json.loads((warm / "generation_config.json").read_text())
    (warm / "generation_config.json").write_text(
        json.dumps(settings | {"do_sample": True, "temperature": 1.3})
    )
    assert [a.text for a in ask(warm, [ask_for(PROMPT)])] == [a.text for a in ask(folder, [ask_for(PROMPT)])]
    again = [ask_for(PROMPT, index) for index in range(1, 4)]
    assert [a.text for a in ask(warm, again)] == [a.text for a in ask(warm, again, temperature=0.7)]


def verdict(text, index=0):
    return Question(ask_for(text).messages, index, VERDICT)


@needs_torch
def test_a_turn_that_is_begun_is_decided_by_the_exact_probabilities_of_the_words(folder):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    asked = [verdict("long " * n + PROMPT) for n in range(4)]
    answers = ask(folder, asked, structure="continue")
    assert answers == ask(folder, asked, structure="continue", concurrency=1)

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    words = tokenizer.convert_tokens_to_ids(["First", "Second"])
    for question, answer in zip(asked, answers, strict=True):
        text = (
            f"<system> please answers </s><user> {question.messages[1].content} </s><assistant> Preference:"
        )
        with torch.no_grad():
            logits = model(**tokenizer(text, return_tensors="pt", return_token_type_ids=False)).logits[0, -1]
        p = torch.softmax(logits[words], 0)[0].item()
        found = read_verdict(answer)
        assert answer.text == f"Preference: {'First' if p >= 0.5 else 'Second'}"
        assert (found.probability, found.probability_source) == (pytest.approx(p, abs=1e-4), "logprobs")
        assert answer.constrained


@needs_torch
def test_a_reply_that_cannot_be_read_is_gone_on_with(folder):
    (plain,) = ask(folder, [ask_for(PROMPT)])
    (answer,) = ask(folder, [verdict(PROMPT)])
    assert answer.mended
    assert answer.text.startswith(f"{plain.text}\nPreference: ")
    assert read_verdict(answer).reasoning == plain.text
    assert answer.prompt_tokens > 2 * plain.prompt_tokens  # both requests are counted


@needs_torch
def test_a_number_that_is_begun_is_generated(folder):
    (answer,) = ask(folder, [Question(ask_for(PROMPT).messages, 0, RATING)], structure="continue")
    assert not answer.readable  # the tiny model knows no number


@needs_torch
@pytest.mark.parametrize(
    "words", ["System role not supported", "Conversation roles must alternate user/assistant"]
)
def test_a_template_without_a_system_role_gets_it_in_the_first_user_turn(folder, tmp_path, words, caplog):
    template = (
        "{% for message in messages %}{% if message['role'] == 'system' %}{{ raise_exception('WORDS') }}{% endif %}"
        "<{{ message['role'] }}> {{ message['content'] }} </s>{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    plain = tiny_llama.make(tmp_path, template=template.replace("WORDS", words))
    answers = ask(plain, [ask_for(PROMPT), ask_for("long " + PROMPT)])
    expected = Question((Message(role="user", content=f"please answers\n\n{PROMPT}"),))
    assert answers[0].text == ask(folder, [expected])[0].text
    assert sum(words in line for line in caplog.messages) == 1


@needs_torch
def test_a_hub_name_without_a_hub_is_told_without_waiting_for_it(monkeypatch, waits):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        BackendError, match=r"the hub is out of reach.*Cure: connect to the network, or give a folder"
    ):
        open_model("hf:no-such-owner/no-such-model")
    assert waits == []


@needs_torch
def test_what_does_not_fit_is_too_long_and_the_rest_of_its_batch_is_answered(folder):
    room = tiny_llama.CONTEXT - 8 - 7  # tokens of the reply, and of the system message and the marks
    fits, too_long = ask(folder, [ask_for("long " * room), ask_for("long " * (room + 1))], temperature=0.0)
    assert (fits.prompt_tokens, fits.completion_tokens) == (tiny_llama.CONTEXT - 8, 8)
    assert isinstance(too_long, Failure)
    assert too_long.kind == "too_long"
    assert str(tiny_llama.CONTEXT) in too_long.detail


@needs_torch
def test_a_reply_ends_where_the_model_ends_it(tmp_path):
    folder = tiny_llama.make(tmp_path, end=True)
    answers = ask(
        folder, [ask_for(PROMPT, n) for n in range(40)], temperature=2.0, batch_size=16, max_tokens=40
    )
    ended = [answer for answer in answers if not getattr(answer, "cut_off", True)]
    assert ended
    for answer in ended:
        assert answer.completion_tokens == len(answer.tokens) + 1 <= 40
        assert "</s>" not in answer.text
    # a reply that ends at once is empty, and an empty reply is a failure
    assert {answer.kind for answer in answers if isinstance(answer, Failure)} <= {"parse"}


@needs_torch
def test_without_a_chat_template_turns_are_marked_with_their_roles(tmp_path):
    folder = tiny_llama.make(tmp_path, template=None)
    answer = ask(folder, [ask_for(PROMPT)], temperature=0.0)[0]
    assert answer.prompt_tokens == len(f"System: please answers User: {PROMPT} Assistant:".split())


@needs_torch
def test_no_probabilities_where_none_are_wanted(folder):
    assert ask(folder, [ask_for(PROMPT)], temperature=0.0, logprobs=False)[0].tokens == ()


@needs_torch
def test_the_model_can_be_called_without_awaiting(folder):
    import dspy
    from dspy import lm15

    lm = open_model(f"hf:{folder}", ModelSettings(device="cpu")).lm
    config = lm15.Config(max_tokens=3, temperature=0.0)
    request = lm15.Request(model=lm.model, messages=(lm15.Message.user(PROMPT),), config=config)
    with dspy.context(disable_history=True):
        assert lm(request).usage.output_tokens == 3


@needs_torch
def test_a_retrained_model_is_another_model(tmp_path):
    folder = tiny_llama.make(tmp_path)
    before = open_model(f"hf:{folder}").lm.model
    assert open_model(f"hf:{folder}").lm.model == before
    tiny_llama.make(tmp_path, seed=1)
    after = open_model(f"hf:{folder}")
    assert after.lm.model != before
    assert after.name == f"hf:{folder}"


@needs_torch
def test_a_folder_without_a_model_is_an_error_with_a_cure(tmp_path):
    with pytest.raises(BackendError, match=r"cannot be loaded.*Cure: give a folder"):
        open_model(f"hf:{tmp_path}")


@pytest.mark.parametrize("place", ["/no/such/folder", "./none", "../none", "a/b/c", "~/model"])
def test_a_folder_that_is_not_there_is_said_to_be_none_and_the_hub_is_not_asked(place):
    with pytest.raises(BackendError, match="there is no folder") as raised:
        open_model(f"hf:{place}")
    assert "out of reach" not in str(raised.value)
