"""Tokens: who may score, write and administer, and files that say so."""

from __future__ import annotations

import hmac

import pytest

from synthesizeme.errors import ConfigError
from synthesizeme.serving.access import SCOPES, Access, read_tokens

SCORE, WRITE, ADMIN = "score-token-123456", "write-token-123456", "admin-token-123456"
ROW = {"user_id": "u0", "prompt": "Q?", "response": "yes"}
PAIRS = {"pairs": [{"prompt": "Q?", "chosen": "a!", "rejected": "b?"}]}
ROUTES = [
    ("POST", "/v1/score", ROW, "score"),
    ("POST", "/v1/compare", {"user_id": "u0", "prompt": "Q?", "first": "a", "second": "b"}, "score"),
    ("POST", "/get_reward", {"query": ["Q? a"], "prompts": ["Q?"], "labels": ["u0"]}, "score"),
    ("GET", "/metrics", None, "score"),
    ("POST", "/v1/users/new/pairs", PAIRS, "write"),
    ("GET", "/v1/users/u0", None, "admin"),
    ("DELETE", "/v1/users/u1", None, "admin"),
]


@pytest.fixture
def live(serve, model):
    return serve(model, access=Access([("score", SCORE), ("write", WRITE), ("admin", ADMIN)]))


@pytest.mark.parametrize(("method", "path", "body", "needed"), ROUTES)
def test_each_route_needs_its_scope(live, method, path, body, needed):
    def status(authorization):
        headers = {} if authorization is None else {"Authorization": authorization}
        return live.client.request(method, path, json=body, headers=headers).status_code

    wrong = [None, "", "Bearer", f"Basic {ADMIN}", ADMIN, f"Bearer {ADMIN[:-1]}", f"Bearer {ADMIN}x",
             "Bearer \xff\xfe", f"Bearer {SCORE},{ADMIN}", "Bearer ' OR 1=1", "Bearer " + "a" * 5000]  # fmt: skip
    for header in wrong:
        headers = [] if header is None else [(b"Authorization", header.encode("latin-1"))]
        assert live.client.request(method, path, json=body, headers=headers).status_code == 401
    for scope, token in (("score", SCORE), ("write", WRITE)):
        if SCOPES.index(scope) < SCOPES.index(needed):
            assert status(f"Bearer {token}") == 403
    assert status(f"bearer  {ADMIN}") == 200
    assert "error" in live.client.request(method, path, json=body).json()


def test_the_least_token_that_suffices_suffices(live):
    tokens = {"score": SCORE, "write": WRITE, "admin": ADMIN}
    for method, path, body, needed in ROUTES:
        headers = {"Authorization": f"Bearer {tokens[needed]}"}
        assert live.client.request(method, path, json=body, headers=headers).status_code == 200, path


def test_health_needs_no_token_and_a_refusal_names_the_scheme(live):
    assert live.client.get("/healthz").status_code == live.client.get("/readyz").status_code == 200
    assert live.client.get("/v1/users/u0").headers["WWW-Authenticate"] == "Bearer"


def test_a_refused_request_changes_nothing(live, model):
    before = set(model.users_)
    live.client.delete("/v1/users/u0", headers={"Authorization": f"Bearer {WRITE}"})
    live.post("/v1/users/new/pairs", PAIRS, headers={"Authorization": f"Bearer {SCORE}"})
    assert set(model.users_) == before


def test_every_token_is_compared_in_constant_time_whatever_is_found(monkeypatch):
    compared, compare = [], hmac.compare_digest

    def watched(one, other):
        compared.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    tokens = Access([("score", SCORE), ("write", WRITE), ("admin", ADMIN)])
    compared.clear()
    assert tokens.level(f"Bearer {SCORE}") == 0
    assert tokens.level("Bearer no") == -1
    assert compared == [(32, 32)] * 6


def test_the_lines_of_a_file_say_who_may_do_what(tmp_path):
    text = f"# who may do what\nscore {SCORE}\n\nwrite\t{WRITE}\n admin {ADMIN}\nscore another-token-123456\n"
    path = tmp_path / "tokens"
    path.write_text(text)
    tokens = read_tokens(path)
    found = [tokens.level(f"Bearer {t}") for t in (SCORE, "another-token-123456", WRITE, ADMIN, "nobody")]
    assert found == [0, 0, 1, 2, -1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no token"),
        ("# nothing\n", "there is no token"),
        (f"root {ADMIN}", "the scope is 'root'; expected score, write, admin"),
        ("admin short", "at least 16"),
        (f"admin {ADMIN} more", "line 1 has 3 words"),
        ("admin", "line 1 has 1 words"),
        ("admin schlüsselschlüssel", "ASCII"),
    ],
)
def test_a_wrong_file_is_refused_without_telling_a_token(tmp_path, text, said):
    path = tmp_path / "tokens"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_tokens(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert ADMIN not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_tokens(tmp_path / "absent")
