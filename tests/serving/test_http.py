"""The server's routes on loopback: right answers for the right user, and 4xx for everything else."""

from __future__ import annotations

import html
import json
import logging
import re
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import two_tastes
from hypothesis import given, settings
from hypothesis import strategies as st

from synthesizeme.errors import DataError
from synthesizeme.scoring import as_answers
from synthesizeme.serving.app import ServerSettings
from synthesizeme.serving.requests import Limits
from synthesizeme.serving.stores import MemoryUsers
from synthesizeme.types import Message

ROW = {"user_id": "u0", "prompt": "Q?", "response": "the sunny ship!"}
PAIR = {"prompt": "Q?", "chosen": "the sunny ship!", "rejected": "the frosty ship?"}


def test_a_row_by_itself_and_rows_together_get_what_the_model_gives(serve, model, sunny, frosty):
    live = serve(model)
    rows = [{**ROW, "user_id": user, "response": text} for user in ("u0", "u1") for text in (sunny, frosty)]
    together = live.post("/v1/score", {"rows": rows}).json()["results"]
    alone = [live.post("/v1/score", row).json() for row in rows]
    assert [row["value"] for row in alone] == [row["value"] for row in together]
    prompt = (Message(role="user", content="Q?"),)
    expected = model.score(
        as_answers([prompt] * 4, [row["response"] for row in rows], [row["user_id"] for row in rows])
    )
    for found, reward in zip(together, expected, strict=True):
        names = ("value", "taste", "floor", "probability", "standard_error")
        numbers = {name: getattr(reward, name) for name in names}
        assert found == {
            **{name: pytest.approx(number, rel=1e-12) for name, number in numbers.items()},
            "status": "ok",
            "scored": 1,
            "judged": reward.judged,
            "stripped": [],
        }
    messages = {
        "prompt": [{"role": "user", "content": "Q?"}],
        "response": [{"role": "assistant", "content": sunny}],
    }
    assert live.post("/v1/score", {**ROW, **messages}).json() == alone[0]


def test_margins_are_differences_of_rewards_and_name_the_preferred(serve, model, sunny, frosty):
    live = serve(model)
    row = {"user_id": "u0", "prompt": "Q?", "first": sunny, "second": frosty}
    found = live.post("/v1/compare", row).json()
    rewards = live.post(
        "/v1/score", {"rows": [{**ROW, "response": sunny}, {**ROW, "response": frosty}]}
    ).json()
    one, other = (result["value"] for result in rewards["results"])
    assert found["margin"] == pytest.approx(one - other)
    floors = [result["floor"] for result in rewards["results"]]
    assert list(found["floors"].values()) == pytest.approx(floors)
    refused = live.post("/v1/compare", {**row, "user_id": "mallory"}).json()
    assert (refused["margin"], refused["floors"]) == (None, None)
    assert (found["preference"], found["status"], found["scored"]) == ("first", "ok", 1)
    swapped = live.post("/v1/compare", {"rows": [{**row, "first": frosty, "second": sunny}]}).json()[
        "results"
    ][0]
    assert swapped["margin"] == -found["margin"]
    assert swapped["preference"] == "second"


def test_an_unknown_user_has_no_value_or_the_populations(serve, model):
    refused = serve(model).post("/v1/score", {**ROW, "user_id": "mallory"}).json()
    assert refused == {
        "value": None, "taste": None, "floor": None, "probability": None, "standard_error": None,
        "status": "unknown_user", "scored": 0, "judged": None, "stripped": [],
    }  # fmt: skip
    live = serve(model, unknown_user="population")
    lent = live.post("/v1/score", {**ROW, "user_id": "mallory"}).json()
    assert (lent["status"], lent["scored"]) == ("population", 0)
    assert lent["value"] is not None
    assert (
        live.post(
            "/v1/compare", {"user_id": "mallory", "prompt": "Q?", "first": "a!", "second": "b?"}
        ).json()["status"]
        == "population"
    )


def test_many_clients_at_once_get_their_own_answers_from_shared_batches(serve, stub):
    live = serve(stub, settings=ServerSettings(deadline=120))

    def ask(number):
        user = ("ann", "bob", "eve")[number % 3]
        row = {"user_id": user, "prompt": "Q?", "response": str(number)}
        if number % 5 == 0:
            other = {"user_id": user, "prompt": "Q?", "first": str(number), "second": "1"}
            return live.post("/v1/compare", other).json()["margin"]
        if number % 7 == 0:
            found = live.post(
                "/v1/score", {"rows": [row, {**row, "user_id": "ann", "response": "-5"}]}
            ).json()["results"]
            assert found[1]["value"] == -5
            return found[0]["value"]
        return live.post("/v1/score", row).json()["value"]

    live.hold()
    with ThreadPoolExecutor(48) as pool:
        answers = [pool.submit(ask, number) for number in range(300)]
        live.wait_for_rows(30)
        stub.may_answer.set()
        found = [answer.result() for answer in answers]
    for number, value in enumerate(found):
        expected = None if number % 3 == 2 else number - 1 if number % 5 == 0 else number
        assert value == expected, number
    assert max(map(len, stub.asked)) >= 20, "requests were scored together"


def test_a_request_that_fails_does_not_touch_those_in_its_batch(serve, stub):
    live = serve(stub, on_error="raise")
    first = live.hold("1")
    live_rows = [
        live.in_thread(lambda text=text: live.post("/v1/score", {**ROW, "user_id": "bob", "response": text}))
        for text in ("2", "raise", "3")
    ]
    live.wait_for_rows(3)
    stub.may_answer.set()
    assert first.result().json()["value"] == 1
    answers = [row.result() for row in live_rows]
    assert [answer.status_code for answer in answers] == [200, 500, 200]
    assert [answers[0].json()["value"], answers[2].json()["value"]] == [2, 3]


# Users.


def test_a_new_user_is_fitted_at_once_exported_and_forgotten(serve, model, sunny, frosty):
    live = serve(model)
    new = {**ROW, "user_id": "new/one ✓"}
    path = "/v1/users/new%2Fone%20%E2%9C%93"
    assert live.post("/v1/score", new).json()["status"] == "unknown_user"
    pairs = two_tastes.asked_as(two_tastes.population(2, 12, seed=9)[12:], "new/one ✓")
    rows = [
        {"prompt": p.prompt[0].content, "chosen": p.chosen_text, "rejected": p.rejected_text} for p in pairs
    ]
    added = live.post(f"{path}/pairs", {"pairs": rows})
    assert added.json() == {"user_id": "new/one ✓", "added": 12, "pairs": 12}
    better, worse = live.post(
        "/v1/score", {"rows": [{**new, "response": frosty}, {**new, "response": sunny}]}
    ).json()["results"]
    assert better["status"] == "ok"
    assert better["value"] > worse["value"]
    exported = live.client.get(path).json()
    assert [p["chosen"][0]["content"] for p in exported["pairs"]] == [row["chosen"] for row in rows]
    assert exported["known_to_model"] is True
    assert exported["learned"]
    gone = live.client.delete(path)
    assert gone.json()["deleted"] == {
        "pairs": 12,
        "feedback": 0,
        "words": False,
        "versions": 0,
        "state": True,
    }
    assert live.client.get(path).status_code == live.client.delete(path).status_code == 404
    assert live.post("/v1/score", new).json()["status"] == "unknown_user"
    assert live.endpoints.users.store.pairs("new/one ✓") == ()
    assert "new/one ✓" not in model.users_


def test_adding_again_what_is_there_changes_nothing_and_more_pairs_add_up(serve, model):
    live = serve(model)
    first = live.post("/v1/users/new/pairs", {"pairs": [PAIR, PAIR]}).json()
    assert first["added"] == first["pairs"] == 1
    assert live.post("/v1/users/new/pairs", {"pairs": [PAIR]}).json()["added"] == 0
    more = live.post("/v1/users/new/pairs", {"pairs": [{**PAIR, "prompt": "Other?"}]}).json()
    assert (more["added"], more["pairs"]) == (1, 2)


def test_a_user_of_the_checkpoint_is_not_overwritten_by_a_few_pairs(serve, model):
    live = serve(model)
    before = model.users_["u0"]
    refused = live.post("/v1/users/u0/pairs", {"pairs": [PAIR]})
    assert refused.status_code == 409
    assert "replace=true" in refused.json()["error"]
    assert model.users_["u0"] is before
    assert live.post("/v1/users/u0/pairs?replace=true", {"pairs": [PAIR]}).json()["pairs"] == 1
    assert model.users_["u0"] is not before
    assert live.post("/v1/users/u0/pairs?replace=perhaps", {"pairs": [PAIR]}).status_code == 422


def test_users_of_a_store_are_fitted_when_the_server_starts(serve, model):
    store = MemoryUsers()
    pairs = two_tastes.asked_as(two_tastes.population(1, 8, seed=3), "stored")
    store.add_pairs("stored", pairs)
    live = serve(model, store=store)
    assert live.post("/v1/score", {**ROW, "user_id": "stored"}).json()["status"] == "ok"
    assert live.post("/v1/users/stored/pairs", {"pairs": [PAIR]}).json()["pairs"] == 9


BAD_PAIRS = {
    "no pair": ({"pairs": []}, "not empty"),
    "no list": ({"pairs": PAIR}, "expected a list"),
    "not an object": ({"pairs": [3]}, "expected an object"),
    "another user's": ({"pairs": [{**PAIR, "user_id": "u1"}]}, "another user"),
    "no chosen": ({"pairs": [{"prompt": "Q?", "rejected": "x"}]}, "chosen"),
    "the same twice": ({"pairs": [{**PAIR, "rejected": PAIR["chosen"]}]}, "same text"),
    "of the test split": ({"pairs": [{**PAIR, "split": "test"}]}, "test split"),
    "an unknown field": ({"pairs": [{**PAIR, "weight": 3}]}, "weight"),
    "one id twice": (
        {"pairs": [{**PAIR, "pair_id": "a"}, {**PAIR, "pair_id": "a", "prompt": "P?"}]},
        "same id",
    ),
    "a blank answer": ({"pairs": [{**PAIR, "chosen": " "}]}, "blank"),
    "too long": ({"pairs": [{**PAIR, "chosen": "x" * 70_000}]}, "65,536"),
}


@pytest.mark.parametrize("kind", BAD_PAIRS)
def test_pairs_that_are_wrong_are_refused_and_nothing_is_kept(serve, model, kind):
    live = serve(model)
    body, said = BAD_PAIRS[kind]
    answer = live.post("/v1/users/new/pairs", body)
    assert answer.status_code == 422
    assert said in answer.text
    assert live.client.get("/v1/users/new").status_code == 404


# Requests that are wrong, or worse.

DEEP = "[" * 500 + "]" * 500
BAD_BODIES = {
    "not JSON": ("{oops", 400),
    "empty": ("", 400),
    "NaN": ('{"user_id": NaN}', 400),
    "nested beyond reading": ("[" * 100_000, 400),
    "nested deeply": ('{"user_id": "u0", "prompt": ' + DEEP + ', "response": "a"}', 422),
    "a lone surrogate": ('{"user_id": "u0", "prompt": "\\ud800", "response": "a"}', 400),
    "not UTF-8": (b'{"user_id": "\xff"}', 400),
    "a list": ("[]", 422),
    "a number": ("7", 422),
    "null": ("null", 422),
    "no field": ("{}", 422),
    "rows of nothing": ('{"rows": []}', 422),
    "rows of numbers": ('{"rows": [1]}', 422),
    "rows and more": (json.dumps({"rows": [ROW], **ROW}), 422),
    "too many rows": (json.dumps({"rows": [ROW] * 257}), 422),
    "an unknown field": (json.dumps({**ROW, "admin": True}), 422),
    "a user of the wrong type": (json.dumps({**ROW, "user_id": {"$ne": None}}), 422),
    "a user that is no whole number": (json.dumps({**ROW, "user_id": 0.5}), 422),
    "no user": (json.dumps({**ROW, "user_id": ""}), 422),
    "a blank user": (json.dumps({**ROW, "user_id": " \n"}), 422),
    "a long user": (json.dumps({**ROW, "user_id": "u" * 257}), 422),
    "a prompt of the wrong type": (json.dumps({**ROW, "prompt": 3.5}), 422),
    "a blank prompt": (json.dumps({**ROW, "prompt": "  "}), 422),
    "an unknown role": (json.dumps({**ROW, "prompt": [{"role": "robot", "content": "x"}]}), 422),
    "a prompt without an end": (json.dumps({**ROW, "prompt": [{"role": "assistant", "content": "x"}]}), 422),
    "a response of the wrong type": (json.dumps({**ROW, "response": ["x", "y"]}), 422),
    "a long response": (json.dumps({**ROW, "response": "x" * 65_537}), 422),
    "a long prompt": (json.dumps({**ROW, "prompt": "x" * 65_537}), 422),
    "too large": (json.dumps({**ROW, "response": "x" * 5 * 2**20}), 413),
}


@pytest.mark.parametrize("kind", BAD_BODIES)
def test_a_bad_body_is_4xx_with_a_reason(serve, model, kind):
    raw, status = BAD_BODIES[kind]
    live = serve(model)
    answer = live.client.post("/v1/score", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert answer.json()["error"]
    assert live.post("/v1/score", ROW).status_code == 200


def test_every_post_route_refuses_the_same_bodies(serve, model):
    live = serve(model)
    for path in ("/v1/compare", "/get_reward", "/v1/users/new/pairs"):
        for raw, _ in BAD_BODIES.values():
            answer = live.client.post(path, content=raw, headers={"Content-Type": "application/json"})
            assert 400 <= answer.status_code < 500, (path, raw[:60])


def test_invented_bodies_near_the_right_shape_are_answered_or_refused(serve, model):
    live = serve(model)
    before = dict(model.users_)
    text = st.sampled_from(["u0", "Q?", "", " ", "mallory"]) | st.text(max_size=8)
    message = st.dictionaries(
        st.sampled_from(["role", "content"]), st.sampled_from(["user", "assistant"]) | text
    )
    leaf = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
    names = [
        "user_id",
        "prompt",
        "response",
        "first",
        "second",
        "rows",
        "query",
        "prompts",
        "labels",
        "pairs",
    ]
    names += ["chosen", "rejected", "pair_id", "split", "metadata", "created_at", "role", "content"]
    value = st.recursive(
        leaf | message,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner, max_size=5)
        ),
        max_leaves=12,
    )

    @settings(max_examples=150, derandomize=True)
    @given(st.sampled_from(["/v1/score", "/v1/compare", "/get_reward", "/v1/users/x/pairs"]), value)
    def check(path, body):
        answer = live.post(path, body)
        assert answer.status_code == 200 or 400 <= answer.status_code < 500, (path, body)
        assert answer.json()

    check()
    assert {user: state for user, state in model.users_.items() if user != "x"} == before


def test_a_body_that_does_not_say_its_size_is_cut_off_too(serve, model):
    live = serve(model, settings=ServerSettings(limits=Limits(body=1000)))

    def endless():
        for _ in range(100):
            yield b" " * 500

    answer = live.client.post("/v1/score", content=endless(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_a_body_that_is_not_declared_as_json_is_refused(serve, model, kind):
    answer = serve(model).client.post("/v1/score", content=json.dumps(ROW), headers={"Content-Type": kind})
    assert answer.status_code == 415


HOSTILE_IDS = [
    "..", ".", "../u0", "..%2Fu0", "%2e%2e%2fu0", "..%5c..%5cetc", "u0%00", "%00", "u0'--", "'%20OR%20'1'='1",
    "%22;DROP%20TABLE%20users;--", "%7B%7B7*7%7D%7D", "$%7Bjndi:ldap://x%7D", "u0%2F..%2Fu1", "u0%0d%0aX-Evil:1",
    "%E2%80%AEu0", "*", "%25", "u0;u1", "u0,u1", "%ff", "a" * 300, "u0/", "/u0", "u0/pairs", "u0//pairs",
    "U0", "u0%20", "%20u0", "u%30%2Fpairs",
]  # fmt: skip


@pytest.mark.parametrize("user", HOSTILE_IDS)
def test_a_hostile_id_is_nobody(serve, model, user):
    live = serve(model)
    before = dict(model.users_)
    for method in ("GET", "DELETE"):
        status, body = raw_request(live, method, f"/v1/users/{user}")
        assert 400 <= status < 500, (method, status)
        assert b"learned" not in body
    assert dict(model.users_) == before
    status, body = raw_request(
        live, "POST", f"/v1/users/{user}/pairs", json.dumps({"pairs": [PAIR]}).encode()
    )
    assert status < 500
    assert set(before) <= set(model.users_)
    assert all(model.users_[known] is state for known, state in before.items()), "no known user was changed"


def raw_request(live, method, path, body=b""):
    """A request whose path is sent as it is written."""
    with socket.create_connection(("127.0.0.1", int(live.url.rpartition(":")[2])), timeout=20) as line:
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        )
        line.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = b""
        while part := line.recv(65536):
            answer += part
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), content


def test_ids_that_look_like_attacks_are_ordinary_ids(serve, model):
    live = serve(model)
    names = ["../u0", "u0'; DROP TABLE users;--", "{{7*7}}", "u0\n", "пользователь", "%2e%2e", "a b/c?d#e"]
    for number, name in enumerate(names):
        path = f"/v1/users/{httpx.QueryParams({'q': name})}".replace("q=", "", 1).replace("+", "%20")
        pair = {**PAIR, "prompt": f"Question {number}?"}
        assert live.post(f"{path}/pairs", {"pairs": [pair]}).json()["user_id"] == name
        exported = live.client.get(path).json()
        assert exported["user_id"] == name
        assert [p["prompt"][0]["content"] for p in exported["pairs"]] == [pair["prompt"]]
    assert live.post("/v1/score", {**ROW, "user_id": names[0]}).json()["status"] == "ok"


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/score/", "/v1/users", "/v1/users/", "/etc/passwd", "/v2/score", "//"]
)
def test_an_unknown_route_is_404(serve, model, path):
    live = serve(model)
    for method in ("GET", "POST"):
        status, body = raw_request(live, method, path, b"{}")
        assert status in (404, 405, 307), body


def test_another_method_is_405(serve, model):
    live = serve(model)
    assert live.client.get("/v1/score").status_code == 405
    assert live.client.put("/v1/users/u0", json={}).status_code == 405
    assert "error" in live.client.get("/v1/score").json()


def test_a_flood_of_headers_is_refused_and_the_server_lives(serve, model):
    live = serve(model)
    head = "".join(f"X-{number}: {'a' * 100}\r\n" for number in range(2000))
    with socket.create_connection(("127.0.0.1", int(live.url.rpartition(":")[2])), timeout=20) as line:
        try:
            line.sendall(f"GET /healthz HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode())
            first = line.recv(65536)
        except ConnectionError:
            first = b""
    assert not first.startswith(b"HTTP/1.1 5")
    assert live.client.get("/healthz").status_code == 200


# What it tells about itself.


def test_health_readiness_and_the_page_for_prometheus(serve, model):
    live = serve(model)
    assert live.client.get("/healthz").json() == {"status": "ok"}
    assert live.client.get("/readyz").json() == {
        "status": "ready",
        "model": "hierarchical-stylometric",
        "users": 6,
    }
    live.post("/v1/score", {"rows": [ROW, {**ROW, "user_id": "mallory"}]})
    live.post("/v1/score", {})
    page = live.client.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain")
    for line in (
        'synthesizeme_rows_total{status="ok"} 1.0',
        'synthesizeme_rows_total{status="unknown_user"} 1.0',
        'synthesizeme_requests_total{code="200",route="score"} 1.0',
        'synthesizeme_requests_total{code="422",route="score"} 1.0',
        "synthesizeme_batches_total 1.0",
        "synthesizeme_batched_rows_total 2.0",
        "synthesizeme_waiting_rows 0.0",
        "synthesizeme_users 6.0",
    ):
        assert line in page.text
    assert "u0" not in page.text


def test_the_openapi_page_describes_every_route(serve, model):
    live = serve(model)
    document = live.client.get("/openapi.json").json()
    paths = {
        (method.upper(), path): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert set(paths) == {
        ("POST", "/v1/score"), ("POST", "/v1/compare"), ("POST", "/get_reward"),
        ("POST", "/v1/users/{user_id}/pairs"), ("PUT", "/v1/users/{user_id}/words"), ("GET", "/v1/users/{user_id}"), ("DELETE", "/v1/users/{user_id}"),
        ("POST", "/v1/users/{user_id}/feedback"),
        ("GET", "/v1/users/{user_id}/persona"), ("POST", "/v1/users/{user_id}/persona"),
        ("GET", "/metrics"), ("GET", "/healthz"), ("GET", "/readyz"),
    }  # fmt: skip
    score = paths["POST", "/v1/score"]
    row = score["requestBody"]["content"]["application/json"]["schema"]["anyOf"][0]
    assert set(row["required"]) == set(ROW)
    assert {"200", "422", "429", "504"} <= set(score["responses"])
    assert [p["name"] for p in paths["GET", "/v1/users/{user_id}"]["parameters"]] == ["user_id"]


def test_the_page_to_read_says_all_that_the_document_says_and_loads_nothing(serve, model):
    live = serve(model)
    document, page = live.client.get("/openapi.json").json(), live.client.get("/docs").text
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert f"{method.upper()} {path}" in page
            assert html.escape(operation["summary"]) in page
            for answer in operation["responses"].values():
                assert html.escape(answer["description"]) in page
    assert "<script" not in page
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == ["openapi.json"]


def test_the_examples_of_the_page_are_accepted(serve, model):
    live = serve(model)
    live.post("/v1/users/ann/pairs", {"pairs": [PAIR]})
    page = html.unescape(live.client.get("/docs").text)
    found = re.findall(rf"curl (?:-X (\w+) )?-H .* -d '(.*)' \\\n  {re.escape(live.url)}(\S+?)</pre>", page)
    assert len(found) == 7
    for method, body, path in found:
        answer = live.client.request(method or "POST", path, json=json.loads(body))
        assert answer.status_code == 200, path


def test_a_user_whose_id_is_blank_is_refused_everywhere(serve, model):
    live = serve(model)
    for path in ("/v1/users/%20", "/v1/users/%09%0A"):
        for answer in (
            live.post(f"{path}/pairs", {"pairs": [PAIR]}), live.client.get(path), live.client.delete(path)
        ):  # fmt: skip
            assert answer.status_code == 422
            assert "blank" in answer.text
    assert set(live.rewards.model.users_) == {f"u{number}" for number in range(6)}


def test_the_examples_of_the_page_ask_the_address_that_it_was_asked_at(serve, model):
    live = serve(model)
    assert f"{live.url}/v1/score</pre>" in live.client.get("/docs").text
    named = live.client.get("/docs", headers={"Host": "rewards.example:81"}).text
    assert "http://rewards.example:81/v1/users/ann/pairs</pre>" in named
    hostile = live.client.get("/docs", headers={"Host": "<script>alert(1)</script>"})
    assert "<script" not in hostile.text


def test_texts_of_users_stand_in_no_log_above_debug(serve, stub, caplog):
    caplog.set_level(logging.INFO)
    live = serve(stub)
    secret = "my secret illness"
    row = {"user_id": "ann", "prompt": secret, "response": "raise"}
    assert live.post("/v1/score", row).json()["status"] == "error"
    live.post("/v1/score", {**row, "prompt": [secret]})
    live.post("/v1/users/new/pairs", {"pairs": [{"prompt": secret, "chosen": secret, "rejected": secret}]})
    live.post("/get_reward", {"query": [secret], "prompts": ["other"], "labels": ["ann"]})
    assert "could not be scored" in caplog.text
    assert secret not in caplog.text


def test_a_fault_of_the_model_itself_is_a_500_that_tells_no_text(serve, stub, caplog):
    live = serve(stub)
    del stub.users_
    answer = live.post("/v1/score", {"user_id": "ann", "prompt": "secret", "response": "1"})
    assert answer.status_code == 500
    assert answer.json() == {"error": "a fault of the server: AttributeError"}
    stub.users_ = {}
    assert live.post("/v1/score", {"user_id": "ann", "prompt": "q", "response": "1"}).status_code == 200


def test_a_store_that_is_away_is_a_503_and_rewards_go_on(serve, model, away_store):
    live = serve(model, store=away_store)
    away_store.away = True
    answer = live.post("/v1/users/new/pairs", {"pairs": [PAIR]})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "secret" not in answer.text
    assert live.client.get("/v1/users/u0").status_code == 503
    assert live.post("/v1/score", ROW).status_code == 200
    away_store.away = False
    assert live.post("/v1/users/new/pairs", {"pairs": [PAIR]}).status_code == 200


class Full(MemoryUsers):
    """A store that nothing can be changed in once `full`."""

    full = False

    def add_pairs(self, user_id, pairs, **more):
        self.refuse()
        return super().add_pairs(user_id, pairs)

    def delete(self, user_id):
        self.refuse()
        return super().delete(user_id)

    def refuse(self):
        if self.full:
            raise DataError("cannot be used: database or disk is full", source="/secret/users.db")


def test_a_store_on_a_full_disk_is_a_503_and_nothing_is_changed(serve, model):
    live = serve(model, store=Full())
    assert live.post("/v1/users/new/pairs", {"pairs": [PAIR]}).status_code == 200
    live.endpoints.users.store.full = True
    more = {**PAIR, "prompt": "Another question?"}
    for answer in (live.post("/v1/users/new/pairs", {"pairs": [more]}), live.client.delete("/v1/users/new")):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
        assert "secret" not in answer.text
    assert len(live.client.get("/v1/users/new").json()["pairs"]) == 1
    live.endpoints.users.store.full = False
    assert live.client.delete("/v1/users/new").status_code == 200
