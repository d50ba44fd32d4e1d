"""A language model in the loop: answers to prompts without any, on the page and in the pool; profiles by it."""

from __future__ import annotations

import json

import pytest
from page_servers import until

import reward_models
from synthesizeme.backends import ModelSettings, Session, open_model
from synthesizeme.cli import main
from synthesizeme.errors import BackendError, ConfigError
from synthesizeme.induction import InductionJob
from synthesizeme.page.run import PageOptions, default_store, kept_in, opened_page
from synthesizeme.page.written_answers import write_answers
from synthesizeme.types import Message

PROMPT = (Message(role="user", content="How deep is a fathom?"),)


def options(tmp_path, stub=None, **more):
    asked = {} if stub is None else {"model": "m", "model_settings": ModelSettings(api_base=stub.base_url)}
    job = InductionJob(store=str(tmp_path / "c.db"), **asked)
    return PageOptions(job=job, reward_model=str(reward_models.POPULATION), opens=False, **more)


def numbered(stub):
    """Every reply is another one, thoughts and all."""
    replies = iter(range(1000))
    stub.answer = lambda body: f"<think>hm</think>Answer {next(replies)}."
    return stub


def test_a_model_writes_different_answers_without_its_thoughts(openai_stub):
    model = open_model("m", ModelSettings(api_base=numbered(openai_stub).base_url))
    with Session(model) as session:
        found = write_answers(session, PROMPT)
    assert len(set(found)) == 2
    assert all(text.startswith("Answer ") for text in found)


def test_a_model_that_says_the_same_again_is_told_of(openai_stub):
    openai_stub.answer = lambda body: "The same."
    with Session(open_model("m", ModelSettings(api_base=openai_stub.base_url))) as session, pytest.raises(
        BackendError, match="gave 1 different answers"
    ):  # fmt: skip
        write_answers(session, PROMPT)


def test_prompts_without_answers_get_them_and_are_then_asked(serve, openai_stub, tmp_path, monkeypatch):
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"Q{n}?"}) + "\n" for n in range(3)), encoding="utf-8")
    job = InductionJob(store=str(tmp_path / "c.db"), model="m",
                       model_settings=ModelSettings(api_base=numbered(openai_stub).base_url))  # fmt: skip
    page = serve(pool=path, job=job)
    until(lambda: all(it.responses for it in page.page.items.values()))
    person = page.person()
    assert "The language model m is sent" in person.look("/").text
    person.agree()
    person.choose("first")
    assert len(page.page.store.pairs("me")) == 1
    person.look("/try")
    assert "Have both answers written" in person.shown.text
    written = person.post("/try", question="And a league?", do="write")
    assert written.text.count("Answer ") >= 2


def test_prompts_without_answers_need_a_model_that_writes(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text(json.dumps({"prompt": "Q?"}) + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="1 prompt of the pool have no answers"), opened_page(
        options(tmp_path, pool=path)
    ):  # fmt: skip
        pass


def test_other_machines_are_let_in_with_tokens_alone(tmp_path):
    with pytest.raises(ConfigError) as caught:
        options(tmp_path, host="0.0.0.0", user_id=" ").check()
    assert "--host 0.0.0.0 can be reached from other machines; give --token-file FILE" in str(caught.value)
    assert "--user is blank" in str(caught.value)
    options(tmp_path, host="0.0.0.0", token_file=tmp_path / "tokens").check()
    for host in ("127.0.0.1", "localhost", "::1"):
        options(tmp_path, host=host).check()


def test_on_the_command_line_a_host_without_a_token_is_a_usage_error(tmp_path, capfd):
    store = tmp_path / "choices.db"
    assert main(["page", "--no-open", "--host", "0.0.0.0", "--store", str(store)]) == 2
    assert "--token-file" in capfd.readouterr().err
    assert main(["page", "--no-open", "--pool", str(tmp_path / "nowhere"), "--store", str(store)]) != 0
    assert "nowhere" in capfd.readouterr().err
    assert not store.exists()


def test_choices_are_kept_with_the_project_or_with_the_persons_own_data(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_store(None) == str(tmp_path / "synthesizeme" / "choices.db")
    assert default_store(tmp_path / "p") == str(tmp_path / "p" / "choices.db")
    assert "secret" not in kept_in("postgresql://me:secret@host/db")
