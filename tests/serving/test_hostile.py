"""Requests that mean harm, byte by byte: always 4xx, never another user's data, and no text of theirs in a log."""

from __future__ import annotations

import json
import logging
import socket
import time
from urllib.parse import quote

import httpx
import pytest
import uvicorn

from synthesizeme.profiles import open_store
from synthesizeme.serving.access import Access
from synthesizeme.serving.app import LONGEST_HEAD, BoundedHead, ServerSettings
from synthesizeme.serving.requests import Limits

SECRET = "my secret illness"
ROW = {"user_id": "u0", "prompt": "Q?", "response": "the sunny ship!"}
PAIR = {"prompt": "Q?", "chosen": "the sunny ship!", "rejected": "the frosty ship?"}
JSON = "Content-Type: application/json\r\n"


@pytest.fixture
def live(serve, model, caplog):
    """A server that waits for a body for a moment; everything it logs from INFO up is caught."""
    caplog.set_level(logging.INFO)
    return serve(model, settings=ServerSettings(limits=Limits(seconds=0.3)))


@pytest.fixture
def stored(serve, model, tmp_path):
    """A server whose users are kept in a file."""
    pytest.importorskip("sqlalchemy")
    live = serve(model, store=open_store(tmp_path / "users.sqlite"))
    live.post("/v1/users/mine/pairs", {"pairs": [{**PAIR, "prompt": SECRET}]})
    return live


def spoken(live, *parts, pause=0.0):
    """Status and body of what the server says to these bytes."""
    with socket.create_connection(("127.0.0.1", int(live.url.rpartition(":")[2])), timeout=20) as line:
        try:
            for part in parts:
                line.sendall(part if isinstance(part, bytes) else part.encode())
                time.sleep(pause)
            answer = b""
            while piece := line.recv(65536):
                answer += piece
        except ConnectionError:
            pass
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, body


def post(path, body, headers=JSON):
    """The bytes of a request."""
    raw = body if isinstance(body, bytes) else body.encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {len(raw)}\r\n\r\n"
    )
    return head.encode() + raw


BAD_HEADS = {
    "a size that is no number": "Content-Length: many\r\n",
    "a size below nothing": "Content-Length: -5\r\n",
    "a size with a sign": "Content-Length: +5\r\n",
    "a size of a hundred digits": f"Content-Length: {'9' * 100}\r\n",
    "an exabyte": "Content-Length: 999999999999999999\r\n",
    "two sizes": "Content-Length: 2\r\nContent-Length: 3\r\n",
    "a size and chunks": "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
    "an unknown coding": "Transfer-Encoding: gzip, nonsense\r\n",
    "a NUL in a header": "X-Evil: a\0b\r\n",
    "a header without a colon": "nonsense\r\n",
    "a folded header": "X-Evil: a\r\n b\r\n",
}


@pytest.mark.parametrize("kind", BAD_HEADS)
def test_a_head_that_lies_is_refused(live, kind):
    status, _ = spoken(
        live, f"POST /v1/score HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{JSON}{BAD_HEADS[kind]}\r\n{{}}"
    )
    assert 400 <= status < 500


def test_a_body_that_does_not_come_is_given_up_and_its_connection_closed(live):
    head = f"POST /v1/score HTTP/1.1\r\nHost: x\r\n{JSON}Content-Length: 100\r\n\r\n"
    status, body = spoken(live, head, '{"user_id"')
    assert status == 408
    assert b"0.3 s" in body
    status, _ = spoken(live, head)
    assert status == 408


def test_a_body_that_comes_in_crumbs_in_time_is_read(serve, model):
    live = serve(model)
    whole = post("/v1/score", json.dumps(ROW))
    status, body = spoken(live, *(whole[start : start + 25] for start in range(0, len(whole), 25)))
    assert status == 200
    assert json.loads(body)["status"] == "ok"


def test_a_body_that_breaks_off_leaves_the_server_well(live):
    with socket.create_connection(("127.0.0.1", int(live.url.rpartition(":")[2]))) as line:
        line.sendall(post("/v1/score", json.dumps(ROW))[:-10])
    assert live.post("/v1/score", ROW).status_code == 200


@pytest.mark.parametrize(
    "flood",
    [
        lambda: (b"X-%d: %s\r\n" % (number, b"a" * 1000) for number in range(3000)),
        lambda: (b"X-Evil: a" if number == 0 else b"a" * 1000 for number in range(3000)),
        lambda: (b"x" * 1000 for _ in range(3000)),
    ],
    ids=["many headers", "one endless header", "an endless name"],
)
def test_headers_without_end_are_refused_long_before_memory_ends(serve, model, flood):
    live = serve(model)
    with socket.create_connection(("127.0.0.1", int(live.url.rpartition(":")[2])), timeout=20) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        sent, answer = 0, b""
        line.settimeout(0.02)
        for piece in flood():
            try:
                line.sendall(piece)
                sent += len(piece)
                if sent % 50_000 < 1000:
                    answer = line.recv(65536)
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
    assert answer.startswith(b"HTTP/1.1 400") or sent < 40 * LONGEST_HEAD
    assert sent < 2_900_000
    assert live.client.get("/healthz").status_code == 200
    assert httpx.get(f"{live.url}/healthz", headers={"X-Large": "a" * 30_000}).status_code == 200


def test_requests_in_one_packet_are_counted_each_for_itself(serve, model):
    live = serve(model)
    one = post("/v1/score", json.dumps({**ROW, "response": "a" * 50_000}), JSON).replace(
        b"Connection: close\r\n", b""
    )
    last = post("/v1/score", json.dumps(ROW))
    _, answers = spoken(live, one * 6 + last)
    assert answers.count(b"HTTP/1.1 200 OK") == 6, "the first is the head that was cut off"


MARKS = [
    "' OR '1'='1", "'; DROP TABLE profile_store_users;--", "\" OR \"\"=\"", "%' UNION SELECT content FROM profile_store_pairs--",
    "{{7*7}}", "${7*7}", "<%= 7*7 %>", "#{7*7}", "{user_id}", "%s%s%s%n", "${jndi:ldap://x/a}", "$(id)", "`id`", "; cat /etc/passwd",
    "../../etc/passwd", "..\\..\\windows", "file:///etc/passwd", "<script>alert(1)</script>", "mine\r\nX-Evil: 1", "\u202emine", "＇ OR 1=1",
    "mine\u0000", "__class__", "constructor", "toString", "null", "undefined", "NaN", "-1", "0", "*", "%", "_", "mine ", "MINE",
]  # fmt: skip


def test_marks_of_other_languages_find_nobody_and_change_nobody(stored):
    before = stored.client.get("/v1/users/mine").json()
    for mark in MARKS:
        path = f"/v1/users/{quote(mark, safe='')}"
        for method in ("GET", "DELETE"):
            answer = stored.client.request(method, path)
            assert answer.status_code in (404, 422), (mark, answer.status_code)
            assert SECRET not in answer.text
        answer = stored.post("/v1/score", {**ROW, "user_id": mark})
        assert answer.json()["status"] == "unknown_user", mark
        reward = stored.post("/get_reward", {"query": ["Q? a"], "prompts": ["Q?"], "labels": [mark]})
        assert reward.status_code == 422, mark
        for field in ("prompt", "response"):
            echoed = stored.post("/v1/score", {**ROW, field: mark})
            assert echoed.json()["status"] == "ok"
    assert stored.client.get("/v1/users/mine").json() == before


def test_a_user_may_be_called_like_an_attack_and_is_kept_apart(stored):
    for number, mark in enumerate(mark for mark in MARKS if "\0" not in mark):
        path = f"/v1/users/{quote(mark, safe='')}"
        pair = {**PAIR, "prompt": f"Question {number}?", "pair_id": mark, "metadata": {mark: [mark]}}
        assert stored.post(f"{path}/pairs", {"pairs": [pair]}).status_code == 200, mark
        (kept,) = stored.client.get(path).json()["pairs"]
        assert (kept["pair_id"], kept["metadata"], kept["user_id"]) == (mark, {mark: [mark]}, mark)
        assert stored.client.delete(path).json()["deleted"] == {
            "pairs": 1,
            "feedback": 0,
            "words": False,
            "versions": 0,
            "state": True,
        }
    assert SECRET in stored.client.get("/v1/users/mine").text


WRONG = [
    b'{"user_id": "u0", "prompt": "\\ud800", "response": "a"}', b'{"user_id": "\\udfff\\ud800", "prompt": "Q", "response": "a"}',
    b'{"user_id": "u0", "prompt": "\xc3\x28", "response": "a"}', b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b"\x00", b"[" * 100_000,
    b'{"a":' * 50_000, b'{"rows": ' + b"[" * 900 + b"]" * 900 + b"}", b'{"user_id": 1e999}', b'{"user_id": ' + b"9" * 5000 + b"}",
    b'{"user_id": NaN}', b'{"user_id": true, "prompt": [], "response": {}}', b'{"__proto__": {"admin": true}}', b'"just text"', b"true",
    b'{"rows": {"0": {}}}', b'{"rows": null}', b'{"rows": "rows"}', b'{"pairs": [[]], "query": {}, "prompts": 3, "labels": false}',
    b'{"pairs": [{"prompt": "Q", "chosen": "a", "rejected": "b", "metadata": []}]}',
    b'{"pairs": [{"prompt": "Q", "chosen": "a", "rejected": "b", "split": "all"}]}',
    b'{"pairs": [{"prompt": "Q", "chosen": "a", "rejected": "b", "created_at": "yesterday"}]}',
    b'{"pairs": [{"prompt": "Q", "chosen": "a", "rejected": "b", "user_id": "mine"}]}',
    b'{"pairs": [{"prompt": "Q", "chosen": "a", "rejected": "b", "pair_id": {}}]}',
    b'{"pairs": [{"prompt": "Q", "chosen": "a", "rejected": "b"}], "replace": true}',
]  # fmt: skip


def test_no_body_is_a_fault_of_the_server(live):
    for path in ("/v1/score", "/v1/compare", "/get_reward", "/v1/users/new/pairs"):
        for body in WRONG:
            status, said = spoken(live, post(path, body))
            assert 400 <= status < 500, (path, body[:60], status)
            assert json.loads(said)["error"]
    assert "new" not in live.rewards.model.users_


TOKENS = [
    "", "Bearer", "Bearer ", "Bearer x", "Basic dTpw", "bearer\tscore-token-123456", "Bearer score-token-123456 x",
    "Bearer score-token-12345", "Bearer SCORE-TOKEN-123456", "Bearer \xff\xfe", "Bearer " + "a" * 20_000, "score-token-123456",
    "Bearer score-token-123456\x00", "Bearer null", "Bearer ' OR 1=1", "Basic", "Basic =", "Basic \xe9",
    "Basic dTpzY29yZS10b2tlbi0xMjM0NTY3", "Basic c2NvcmUtdG9rZW4tMTIzNDU2", "Basic dTr//w==",
]  # fmt: skip


@pytest.mark.parametrize("token", TOKENS, ids=range(len(TOKENS)))
def test_a_bad_token_opens_nothing(serve, model, token):
    live = serve(model, access=Access([("score", "score-token-123456")]))
    for method, path in (
        ("POST", "/v1/score"),
        ("GET", "/v1/users/u0"),
        ("DELETE", "/v1/users/u0"),
        ("GET", "/metrics"),
    ):
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{JSON}Authorization: {token}\r\n\r\n"
        status, body = spoken(live, head.encode("latin-1"))
        assert status in (400, 401), (method, path, status)
        assert b"learned" not in body
    assert "u0" in live.rewards.model.users_


def test_nothing_of_a_hostile_request_stands_in_a_log(live, caplog):
    for body in (
        json.dumps({**ROW, "user_id": SECRET, "x": 1}),
        f'{{"{SECRET}',
        json.dumps({"rows": [SECRET]}),
    ):
        spoken(live, post("/v1/score", body))
        spoken(live, post(f"/v1/users/{quote(SECRET)}/pairs", body))
    spoken(
        live,
        f"GET /v1/users/{quote(SECRET)}?q={quote(SECRET)} HTTP/1.1\r\nHost: {SECRET}\r\nX: {SECRET}\0\r\n\r\n",
    )
    spoken(live, f"{SECRET}\r\n\r\n")
    assert SECRET not in caplog.text
    assert "illness" not in caplog.text


def test_the_reader_of_heads_is_uvicorns_own_but_for_the_limit():
    assert issubclass(BoundedHead, uvicorn.protocols.http.httptools_impl.HttpToolsProtocol)
