from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from openai_stub import Reply

import synthesizeme
from synthesizeme.errors import install_line

ROOT = Path(__file__).resolve().parents[2]


def test_doctor_tells_versions_models_data_and_cache(command, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "secret-value")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("SYNTHESIZEME_DATA_DIR", str(tmp_path / "data"))
    ran = command("doctor", "--json")
    assert ran.status == 0, ran.err
    assert ran.json["versions"]["synthesizeme"] == synthesizeme.__version__
    assert ran.json["backends"]["builtin"]["ready"] is True
    assert ran.json["backends"]["openai/NAME"]["ready"] is True
    assert ran.json["backends"]["anthropic/NAME"] == {"ready": False, "needs": "ANTHROPIC_API_KEY"}
    assert ran.json["encoders"]["found"]["static"] == {"ready": True, "needs": ""}
    assert ran.json["encoders"]["default"] in ran.json["encoders"]["found"]
    assert "LLaMA 2" in ran.json["encoders"]["licence"]
    assert ran.json["data"]["places"] == {str(tmp_path / "data"): False}
    assert ran.json["data"]["found"]["llmfao"] is None
    assert ran.json["data"]["hub"]["polis"] is None
    assert ran.json["data"]["hub"]["llmfao"]
    assert "datasets" not in ran.json["versions"]
    assert {"huggingface-hub", "pyarrow"} <= set(ran.json["versions"])
    assert ran.json["cache"] == {"folder": str(tmp_path / "cache"), "writable": True, "bytes": 0}
    assert ran.json["environment"]["HF_HUB_OFFLINE"] == "1"
    assert "secret-value" not in ran.out
    assert not (tmp_path / "cache").exists()
    human = command("doctor")
    assert "ANTHROPIC_API_KEY" in human.out
    assert "the default here" in human.out
    assert "it is not on the hub" in " ".join(human.out.split())


def test_doctor_finds_data(command, tmp_path):
    (tmp_path / "polis.jsonl.gz").write_bytes(b"")
    found = command("doctor", "--json", "--data-dir", tmp_path).json["data"]["found"]
    assert found["polis"] == str(tmp_path / "polis.jsonl.gz")


def test_every_extra_is_listed_with_a_line_that_installs_it(command, monkeypatch):
    from synthesizeme.cli import doctor

    declared = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    known = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name in ("optuna", "bm25s") else known(name))
    extras = command("doctor", "--json").json["extras"]
    assert set(extras) == declared - {"all", "dev"}
    assert extras["optimize"]["versions"]["optuna"] is None
    assert "gepa" in extras["optimize"]["versions"]
    assert {name for name, extra in extras.items() if extra["cure"]} >= {"optimize", "retrieval"}
    assert extras["retrieval"]["cure"] == install_line("retrieval")


def test_a_model_is_tried_with_one_comparison(command, openai_stub):
    content = [{"token": "Preference: First", "logprob": -0.1, "top_logprobs": []}]
    openai_stub.answer = lambda body: Reply("Preference: First", logprobs={"content": content})
    ran = command("doctor", "--model", "my/model", "--api-base", openai_stub.base_url, "--json")
    assert ran.status == 0, ran.err
    found = ran.json
    assert (found["verdict"], found["failure"], found["read_by"]) == ("first", None, "its words")
    assert (found["token_probabilities"], found["system_message"], found["refuses"]) == (True, True, [])
    assert found["usd_per_million_tokens"] is None
    assert found["tokens_per_second"] > 0
    assert found["context_tokens"] is None
    assert len(openai_stub.requests) == 1


def test_what_a_difficult_model_wants_is_found_out(command, openai_stub):
    def answer(body):
        if body["messages"][0]["role"] == "system":
            return Reply(status=400, error={"message": "System role not supported"})
        if "logprobs" in body:
            return Reply(status=400, error={"message": "logprobs are not available"})
        return '{"reasoning": "", "preference": "Second"}' if "response_format" in body else "Hm, both."

    openai_stub.answer = answer
    ran = command("doctor", "--model", "m", "--api-base", openai_stub.base_url)
    shown = " ".join(ran.out.split())
    assert ran.status == 0, ran.err
    assert "read by a JSON schema" in shown
    assert "refuses logprobs, system" in shown
    assert "refused; stands in the first user turn" in shown
    assert "not given" in shown


def test_a_model_that_gives_no_verdict_is_a_failure(command, openai_stub):
    openai_stub.answer = lambda body: "Hm, both."
    ran = command("doctor", "--model", "m", "--api-base", openai_stub.base_url)
    assert ran.status == 1
    assert "m gave no verdict: parse" in ran.err
    openai_stub.answer = lambda body: Reply(status=401, error={"message": "bad key"})
    assert "bad key" in command("doctor", "--model", "m", "--api-base", openai_stub.base_url).err


def test_the_builtin_model_is_tried_too_when_it_is_named(command):
    found = command("doctor", "--model", "builtin", "--json").json
    assert (found["read_by"], found["usd_per_million_tokens"]) == ("its words", [0.0, 0.0])


UNKNOWN = {
    "refused": Reply(status=400, error={"message": "Bad Request"}),
    "not found": Reply(status=404, body=b"<html><title>404 Not Found</title></html>"),
    "forbidden": Reply(status=403, body=b"<html><title>Blocked</title></html>"),
    "a web page": Reply(body=b"<html>Welcome</html>"),
    "something else": Reply(body=b'{"object": "list"}'),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_no_reply_told_is_not_known(command, openai_stub, name):
    openai_stub.answer = lambda body: UNKNOWN[name]
    asked = ("doctor", "--model", "m", "--api-base", openai_stub.base_url, "--retries", 0)
    ran = command(*asked)
    shown = " ".join(ran.out.split())
    assert ran.status == 1
    for line in (
        "token probabilities not known",
        "system message not known",
        "refuses not known",
        "speed not known",
    ):
        assert line in shown
    found = command(*asked, "--json").json
    fields = (
        "token_probabilities",
        "unusable_probabilities",
        "system_message",
        "refuses",
        "tokens_per_second",
    )
    assert [found[field] for field in fields] == [None] * 5


def test_a_refusal_that_one_more_try_explains_is_known(command, openai_stub):
    def answer(body):
        refused = Reply(status=400, error={"message": "Only user and assistant roles are supported!"})
        return refused if body["messages"][0]["role"] == "system" else "Preference: First"

    openai_stub.answer = answer
    found = command("doctor", "--model", "m", "--api-base", openai_stub.base_url, "--json").json
    assert (found["verdict"], found["refuses"], found["system_message"]) == ("first", ["system"], False)


def test_probabilities_that_are_none_are_told_from_none(command, openai_stub):
    content = [{"token": "Preference: First", "logprob": 0.9, "top_logprobs": []}]
    openai_stub.answer = lambda body: Reply("Preference: First", logprobs={"content": content})
    ran = command("doctor", "--model", "m", "--api-base", openai_stub.base_url)
    assert "token probabilities given, but they are none: not used" in " ".join(ran.out.split())
