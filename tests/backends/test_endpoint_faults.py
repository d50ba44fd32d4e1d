"""Faults of endpoints as they were met in the wild: what ends a run, what costs one call, what is too long."""

from __future__ import annotations

import pytest
from openai_stub import OpenAIStub, Reply

from synthesizeme.backends import ModelSettings, Question, RetryPolicy, Session, open_model
from synthesizeme.backends.local_server import context_in, proxy_of
from synthesizeme.errors import BackendError, CredentialError
from synthesizeme.types import Message

QUICK = RetryPolicy(retries=2, backoff_s=0.001)


def asked(text: str) -> Question:
    return Question((Message(role="user", content=text),))


def ask(stub: OpenAIStub, texts, *, address=None, **settings):
    model = open_model("m", ModelSettings(api_base=address or stub.base_url, **settings))
    with Session(model, retry=QUICK, concurrency=1) as session:
        ledger = session.ledger()
        return ledger.ask([asked(text) for text in texts]), ledger.usage


FLAGGED = Reply(status=403, error={"message": "Input was flagged by moderation"})
NO_ENDPOINTS = Reply(
    status=404, error={"message": "No endpoints found matching your data policy", "code": 404}
)
FORBIDDEN = Reply(status=403, error={"message": "Forbidden"})


@pytest.mark.parametrize("reply", [FLAGGED, NO_ENDPOINTS, FORBIDDEN])
@pytest.mark.parametrize("place", [0, 2])
def test_one_denied_call_of_many_is_a_refusal_and_the_run_goes_on(openai_stub, reply, place):
    openai_stub.answer = lambda body: reply if body["messages"][0]["content"] == f"q{place}" else "First"
    outcomes, usage = ask(openai_stub, [f"q{n}" for n in range(5)])
    assert [getattr(it, "kind", "answer") == "refusal" for it in outcomes] == [n == place for n in range(5)]
    assert reply.error["message"] in outcomes[place].detail
    assert (usage.refused, usage.failed) == (1, 0)


@pytest.mark.parametrize(("reply", "kind"), [(FORBIDDEN, CredentialError), (NO_ENDPOINTS, BackendError)])
def test_where_the_first_calls_are_all_denied_the_run_ends(openai_stub, reply, kind):
    openai_stub.answer = lambda body: reply
    with pytest.raises(kind, match=reply.error["message"]):
        ask(openai_stub, [f"q{n}" for n in range(50)])
    assert len(openai_stub.requests) == 3


def test_a_run_whose_first_texts_are_all_flagged_goes_on(openai_stub):
    openai_stub.answer = lambda body: FLAGGED
    assert ask(openai_stub, [f"q{n}" for n in range(6)])[1].refused == 6


@pytest.mark.parametrize(
    "message", ["Invalid API key", "You do not have access to this model", "token expired", "Unauthorized"]
)
def test_a_403_about_the_key_ends_the_run_at_once(openai_stub, message):
    openai_stub.answer = lambda body: Reply(status=403, error={"message": message})
    with pytest.raises(CredentialError, match=message):
        ask(openai_stub, ["q"])


def inside(error, choices='[{"message": {"role": "assistant", "content": ""}, "finish_reason": "error"%s}]'):
    return Reply(
        body=(f'{{"choices": {choices % (", " + chr(34) + "error" + chr(34) + ": " + error)}}}').encode()
    )


@pytest.mark.parametrize(
    ("reply", "raised", "words"),
    [
        (Reply(body=b'{"error": {"code": 401, "message": "No auth credentials found"}}'), CredentialError, "No auth"),
        (Reply(body=b'{"error": {"code": "402", "message": "Insufficient credits"}}'), BackendError, "credits"),
        (inside('{"code": 401, "message": "bad key"}'), CredentialError, "bad key"),
    ],
)  # fmt: skip
def test_an_error_inside_a_reply_is_as_fatal_as_its_code(openai_stub, reply, raised, words):
    openai_stub.answer = lambda body: reply
    with pytest.raises(raised, match=words):
        ask(openai_stub, ["q"])
    assert len(openai_stub.requests) == 1


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (inside('{"code": 502, "message": "Provider returned error", "metadata": {"raw": "out of GPUs"}}'), "out of GPUs"),
        (inside('"upstream broke"'), "upstream broke"),
        (inside("null"), "ended the reply with an error"),
        (Reply(body=b'{"choices": [], "error": {"code": 503, "message": "warming up"}}'), "warming up"),
    ],
)  # fmt: skip
def test_an_error_inside_a_reply_is_told_in_the_providers_words_and_tried_again(openai_stub, reply, words):
    openai_stub.answer = lambda body: reply
    (failure,), usage = ask(openai_stub, ["q"])
    assert failure.kind == "transport"
    assert words in failure.detail
    assert (len(openai_stub.requests), usage.failed) == (3, 1)


def counted(prompt_tokens, cached=None):
    details = f', "prompt_tokens_details": {{"cached_tokens": {cached}}}' if cached is not None else ""
    usage = f'{{"prompt_tokens": {prompt_tokens}, "completion_tokens": 1{details}}}'
    choice = '{"message": {"role": "assistant", "content": "First"}, "finish_reason": "stop"}'
    return Reply(body=f'{{"choices": [{choice}], "usage": {usage}}}'.encode())


ENGLISH = "The quick brown fox jumps over the lazy dog and asks nobody in particular why. " * 128
GERMAN = "Donaudampfschifffahrtsgesellschaft und Rindfleischetikettierungsgesetz prüfen Wortlängen. " * 110
CHINESE = "这个用户喜欢简短而直接的回答不喜欢冗长的解释" * 450
SPACES = "a" + " " * 10_000 + "b"
RULER = "=" * 10_000


@pytest.mark.parametrize(
    ("text", "reply", "dropped"),
    [
        (ENGLISH, counted(64), True),  # of about 2,000
        (ENGLISH, counted(1_400), False),
        (ENGLISH, counted(64, cached=1_950), False),  # it counts apart what it had read before
        (ENGLISH, counted(0), False),  # it counts nothing
        (GERMAN, counted(1_100), False),
        (CHINESE, counted(64), True),
        (CHINESE, counted(4_000), False),
        (SPACES, counted(40), False),
        (RULER, counted(80), False),
        ("Which?", counted(1), False),
    ],
)  # fmt: skip
def test_a_server_that_dropped_most_of_the_prompt_has_not_answered(openai_stub, text, reply, dropped):
    openai_stub.answer = lambda body: reply
    (outcome,), _ = ask(openai_stub, [text])
    if dropped:
        assert outcome.kind == "too_long"
        assert "the server dropped most of the prompt" in outcome.detail
    else:
        assert outcome.text == "First"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (413, "Request too large for this model"), (413, "Payload Too Large"), (400, "prompt is too long: 9000 tokens"),
        (400, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 1500 `inputs` tokens"),
        (400, "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (3976 in the "
              "messages, 1024 in the completion); reduce max_tokens"),
    ],
)  # fmt: skip
def test_a_request_that_is_too_large_is_too_long(openai_stub, status, words):
    openai_stub.answer = lambda body: Reply(status=status, error={"message": words})
    (failure,), _ = ask(openai_stub, ["q"])
    assert failure.kind == "too_long"
    assert len(openai_stub.requests) == 1


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        ("max_tokens is too large: 100000. This model supports at most 4096 completion tokens", "--max-tokens 4096 or"),
        ("`max_tokens` must be less than or equal to `8192`", "--max-tokens 8192 or fewer"),
        ("max_tokens: 100000 > 8192, which is the maximum allowed number of output tokens", "--max-tokens 8192"),
        ("'max_tokens' or 'max_completion_tokens' is too large: 100000. This model's maximum context length is 2048 "
         "tokens and your request has 30 input tokens", "a smaller --max-tokens"),
        ("Invalid value for max_completion_tokens: exceeds the limit", "a smaller --max-tokens"),
    ],
)  # fmt: skip
def test_a_limit_of_replies_beyond_the_models_is_a_setting_with_a_cure(openai_stub, words, cure):
    openai_stub.answer = lambda body: Reply(status=400, error={"message": words})
    with pytest.raises(BackendError, match=f"gives no replies of up to 100000 tokens.*Cure: give {cure}"):
        ask(openai_stub, ["q"], max_tokens=100_000)
    assert len(openai_stub.requests) == 1


def test_a_proxy_of_the_environment_is_asked_unless_it_says_otherwise(openai_stub, monkeypatch):
    proxy = openai_stub.base_url.removesuffix("/v1")
    monkeypatch.setenv("HTTP_PROXY", proxy)
    assert ask(openai_stub, ["q"], address="http://models.invalid/v1")[0][0].text == "First"
    assert openai_stub.headers[0]["Host"] == "models.invalid"
    monkeypatch.setenv("HTTPS_PROXY", "http://secure:1")
    monkeypatch.setenv("NO_PROXY", "intern.al")
    found = [
        proxy_of(url)
        for url in ("http://a/v1", "https://a/v1", "https://m.intern.al/v1", "http://intern.al:8/v1")
    ]
    assert found == [proxy, "http://secure:1", None, None]
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    assert ask(openai_stub, ["q"])[0][0].text == "First"


@pytest.mark.parametrize("end", ["\n", "\r\n", " ", "\t\n"])
def test_a_key_is_sent_without_the_white_space_around_it(openai_stub, monkeypatch, end):
    monkeypatch.setenv("SYNTHESIZEME_API_KEY", f" of-a-variable{end}")
    ask(openai_stub, ["q"])
    ask(openai_stub, ["q"], api_key=f"given{end}")
    sent = [headers["Authorization"] for headers in openai_stub.headers]
    assert sent == ["Bearer of-a-variable", "Bearer given"]
    monkeypatch.setenv("OPENAI_API_KEY", f"sk{end}")
    assert open_model("openai/gpt-4o").lm.kwargs["api_key"] == "sk"
    monkeypatch.setenv("OPENAI_API_KEY", end)
    with pytest.raises(CredentialError, match="OPENAI_API_KEY"):
        open_model("openai/gpt-4o")


def test_further_fields_and_headers_are_sent_and_no_header_is_shown(openai_stub):
    settings = ModelSettings(
        extra_body={"top_k": 1, "chat_template_kwargs": {"enable_thinking": False}},
        headers={"X-Org": "secret"},
    )
    assert "secret" not in repr(settings)
    ask(openai_stub, ["q"], extra_body=settings.extra_body, headers=settings.headers)
    assert openai_stub.requests[0]["top_k"] == 1
    assert openai_stub.requests[0]["chat_template_kwargs"] == {"enable_thinking": False}
    assert openai_stub.headers[0]["X-Org"] == "secret"


@pytest.mark.parametrize(
    ("listed", "context"),
    [
        ({"data": [{"id": "other", "max_model_len": 1}, {"id": "m", "max_model_len": 4096}]}, 4096),
        ({"data": [{"id": "x.gguf", "meta": {"n_ctx_train": 8192, "n_vocab": 5}}]}, 8192),
        ({"data": [{"id": "m", "context_length": 128_000, "meta": None}]}, 128_000),
        ({"data": [{"id": "m"}]}, None), ({"data": None}, None), ([], None), (None, None), ({"data": [5]}, None),
    ],
)  # fmt: skip
def test_a_context_is_read_from_what_servers_list(listed, context):
    assert context_in(listed, "m") == context
