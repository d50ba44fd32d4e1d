"""Hosted providers without a network: keys, routing, and one real call through a gateway on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from openai_stub import Reply

from synthesizeme.backends import (
    ModelSettings,
    Question,
    RetryPolicy,
    Session,
    find_backend,
    hosted,
    open_model,
)
from synthesizeme.backends._faults import FIRST_CONTACT_RETRIES
from synthesizeme.errors import BackendError, CredentialError
from synthesizeme.types import Message

QUESTION = Question((Message(role="user", content="Which?"),))


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch):
    for variables in hosted.KEY_VARIABLES.values():
        for variable in variables:
            monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("provider", [name for name, keys in hosted.KEY_VARIABLES.items() if keys])
def test_a_missing_key_is_reported_at_opening_with_its_variable(provider):
    with pytest.raises(CredentialError) as caught:
        open_model(f"{provider}/some-model")
    for variable in hosted.KEY_VARIABLES[provider]:
        assert variable in str(caught.value)


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini", "azure", "together_ai", "groq"])
def test_one_variable_or_a_given_key_is_enough(provider, monkeypatch):
    given = open_model(f"{provider}/some-model", ModelSettings(api_key="given"))
    assert given.lm.kwargs["api_key"] == "given"
    monkeypatch.setenv(hosted.KEY_VARIABLES[provider][-1], "of-the-environment")
    model = open_model(f"{provider}/some-model", ModelSettings(timeout_s=7))
    assert (model.lm.model, model.kind, model.asynchronous) == (f"{provider}/some-model", hosted.KIND, True)
    assert (model.lm.kwargs["timeout"], model.lm.cache, model.lm.num_retries) == (7, False, 0)
    assert "api_key" not in model.lm.kwargs


def test_an_empty_variable_is_no_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "")
    with pytest.raises(CredentialError, match="OPENAI_API_KEY"):
        open_model("openai/gpt-4o")


@pytest.mark.parametrize("name", ["bedrock/anthropic.claude", "vertex_ai/gemini-pro"])
def test_clouds_with_credentials_of_their_own_need_no_variable(name):
    assert open_model(name).lm.model == name


def test_an_address_goes_to_that_server_whatever_the_prefix(openai_stub):
    model = open_model("openai/gpt-4o", ModelSettings(api_base=openai_stub.base_url))
    with Session(model) as session:
        assert session.ledger().ask([QUESTION])[0].text == "First"
    assert openai_stub.requests[0]["model"] == "openai/gpt-4o"


def test_the_table_agrees_with_the_registry_of_dspy():
    from dspy._vendor.lm15.registry import PROVIDERS

    for provider, variables in hosted.KEY_VARIABLES.items():
        if provider in PROVIDERS and PROVIDERS[provider].access.env_keys:
            assert set(PROVIDERS[provider].access.env_keys) <= set(variables), provider


def test_looking_for_a_backend_imports_no_client():
    assert find_backend("openai/gpt-4o", api_base=None) is hosted
    code = (
        "import sys; from synthesizeme.backends import find_backend;"
        "find_backend('openai/x', api_base=None);"
        "print([name for name in ('dspy', 'litellm', 'aiohttp', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_price_list_is_not_downloaded_unless_the_user_says_so(monkeypatch):
    monkeypatch.delenv("LITELLM_LOCAL_MODEL_COST_MAP", raising=False)
    open_model("openai/gpt-4o", ModelSettings(api_key="x"))
    assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "False")
    open_model("openai/gpt-4o", ModelSettings(api_key="x"))
    assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "False"


@pytest.fixture
def gateway(monkeypatch):
    """Sends openai/... to an address, by the variable that gateways are configured with."""

    def configure(address):
        monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        monkeypatch.setenv("OPENAI_BASE_URL", address)
        monkeypatch.setenv("OPENAI_API_BASE", address)
        return open_model(
            "openai/gpt-4o-mini", ModelSettings(api_key="sk-test", temperature=0.3, timeout_s=120)
        )

    return configure


def test_a_provider_is_called_retried_and_priced(openai_stub, gateway):
    openai_stub.script(Reply(status=429, headers={"Retry-After": "0.05"}), Reply(status=500))
    model = gateway(openai_stub.base_url)
    with Session(model, retry=RetryPolicy(retries=3, backoff_s=0.001)) as session:
        ledger = session.ledger()
        answer = ledger.ask([QUESTION])[0]
    assert answer.text == "First"
    assert answer.cost_usd == pytest.approx(1 * 0.15e-6 + 1 * 0.6e-6)  # gpt-4o-mini, dollars per token
    assert ledger.usage.retries == 2
    body = openai_stub.requests[0]
    assert (body["model"], body["temperature"], body["top_logprobs"]) == ("gpt-4o-mini", 0.3, 5)
    assert openai_stub.headers[0]["Authorization"] == "Bearer sk-test"


def test_a_key_that_the_provider_rejects_stops_the_run(openai_stub, gateway):
    openai_stub.answer = lambda body: Reply(status=401, error={"message": "Incorrect API key"})
    with Session(gateway(openai_stub.base_url)) as session, pytest.raises(CredentialError, match="Incorrect"):
        session.ledger().ask([QUESTION])
    assert len(openai_stub.requests) == 1


def test_a_provider_that_cannot_be_reached_ends_the_run(gateway, waits):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        model = gateway(f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
        with (
            Session(model, retry=RetryPolicy(backoff_s=0.001)) as session,
            pytest.raises(BackendError, match=r"openai/gpt-4o-mini.*no connection can be made"),
        ):
            session.ledger().ask([QUESTION])
    assert len(waits) == FIRST_CONTACT_RETRIES
    assert max(waits) < 0.01, "the client under us does not wait by itself"
