"""A server process: what it refuses to start with, what it answers, and how it ends."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from synthesizeme.cli import main
from synthesizeme.discovery import resource
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.serving.workers import ServerOptions, application, run

TOKEN = "admin-token-123456"
WEB = httpx.Client(
    verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    timeout=120,
    limits=httpx.Limits(max_keepalive_connections=0),
)
"""Reads no certificates, and comes to any of several processes with every request."""
PAIR = {"prompt": "Q?", "chosen": "a sunny ship!", "rejected": "a frosty ship."}


@pytest.fixture
def started(checkpoint, tmp_path):
    """Starts `synthesizeme serve` and gives its process and address."""
    running = []

    def start(*arguments, model=checkpoint, port="0"):
        command = [sys.executable, "-m", "synthesizeme.cli", "serve", "--port", port]
        command += [] if model is None else ["--reward-model", str(model)]
        log = (tmp_path / f"log-{len(running)}").open("w+")
        process = subprocess.Popen([*command, *map(str, arguments)], stderr=log, stdout=log, text=True,
                                   env=os.environ | {"OMP_NUM_THREADS": "1"})  # fmt: skip
        running.append((process, log))
        for _ in range(600):
            said = Path(log.name).read_text()
            if found := re.search(r"on (?:http://)?(\S+:\d+)", said):
                return process, f"http://{found[1]}", log.name
            assert process.poll() is None, said
            time.sleep(0.05)
        raise AssertionError(said)

    yield start
    for process, log in running:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        log.close()


def ask(url, user="u0", **more):
    return WEB.post(
        f"{url}/v1/score", json={"user_id": user, "prompt": "Q?", "response": "a sunny ship!"}, **more
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_other_machines_may_only_come_with_a_token(checkpoint, host):
    with pytest.raises(ConfigError, match="token-file"):
        run(ServerOptions(model=str(checkpoint), host=host))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_may_come_without_one(checkpoint, host):
    ServerOptions(model=str(checkpoint), host=host).check()


def test_what_is_wrong_is_said_together_before_anything_is_loaded():
    with pytest.raises(ConfigError) as caught:
        ServerOptions(model="absent", host="0.0.0.0", workers=2, port=0, pairs="p", unknown_user="x").check()
    assert len(caught.value.problems) == 3


def test_a_checkpoint_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="no checkpoint"):
        application(ServerOptions(model=str(tmp_path / "absent")))


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(("name", "said"), [("bogus", "unknown model 'bogus'"), ("openai/x", "needs a key")])
def test_a_judge_that_cannot_be_opened_leaves_no_store_behind(
    tmp_path, capfd, monkeypatch, name, said, workers
):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    store = tmp_path / "y.db"
    assert main(["serve", "--model", name, "--store", str(store), "--workers", workers]) != 0
    assert said in capfd.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_address_that_is_taken_is_refused(checkpoint, capfd):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--reward-model", str(checkpoint), "--port", str(port)]) == 2
    assert f"127.0.0.1:{port} cannot be bound" in capfd.readouterr().err


def test_a_host_without_a_token_is_a_usage_error(checkpoint, capfd):
    assert main(["serve", "--reward-model", str(checkpoint), "--host", "0.0.0.0"]) == 2
    assert "--token-file" in capfd.readouterr().err


def test_it_serves_until_it_is_told_to_stop(started):
    process, url, log = started()
    assert ask(url).json()["status"] == "ok"
    assert ask(url, "mallory").json()["status"] == "unknown_user"
    assert WEB.get(f"{url}/readyz").json()["users"] == 6
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) in (0, -signal.SIGTERM)
    assert len(Path(log).read_text().splitlines()) == 1, "one line, and no user's id or text"


def test_without_a_model_it_serves_the_shipped_population_to_the_users_it_is_told_of(started):
    _, url, log = started(model=None)
    assert "the shipped population answers" in Path(log).read_text()
    assert ask(url, "new").json()["status"] == "unknown_user"
    assert WEB.post(f"{url}/v1/users/new/pairs", json={"pairs": [PAIR]}).status_code == 200
    assert ask(url, "new").json()["status"] == "ok"


def test_flags_reach_the_server(started, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text(f"admin {TOKEN}\n")
    history = resource("data/sample/pairs.jsonl")
    _, url, _ = started("--token-file", tokens, "--data", history, "--unknown-user", "population",
                        "--max-text", 50, "--max-rows", 2)  # fmt: skip
    mine = {"headers": {"Authorization": f"Bearer {TOKEN}"}}
    assert ask(url).status_code == 401
    assert ask(url, "mara", **mine).json()["status"] == "ok"
    assert ask(url, "mallory", **mine).json()["status"] == "population"
    assert len(WEB.get(f"{url}/v1/users/mara", **mine).json()["pairs"]) == 20
    row = {"user_id": "mara", "prompt": "Q?", "response": "x" * 51}
    assert WEB.post(f"{url}/v1/score", json=row, **mine).status_code == 422
    assert (
        WEB.post(f"{url}/v1/score", json={"rows": [{**row, "response": "x"}] * 3}, **mine).status_code == 422
    )


def test_without_tokens_it_answers_to_names_of_this_machine_alone(started):
    _, url, _ = started()
    for name in (
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "",
        "localhost.evil",
        "1.2.3.4",
    ):
        other = {"Host": name}
        for route in ("/v1/users/u0", "/metrics"):
            assert WEB.get(f"{url}{route}", headers=other).status_code == 421, name
        assert ask(url, headers=other).status_code == 421
        assert WEB.get(f"{url}/healthz", headers=other).status_code == 200
    for own in ("localhost", "localhost:8000", "127.0.0.1", "[::1]", "[::1]:8000", "LOCALHOST"):
        assert ask(url, headers={"Host": own}).status_code == 200, own


def workers_of(process, url):
    """Process ids of the workers of a server, once both take requests."""
    for _ in range(1200):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        found = [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        if len(found) == 2 and "synthesizeme_processes 2.0" in WEB.get(f"{url}/metrics").text:
            return found
        time.sleep(0.05)
    raise AssertionError(children)


@contextmanager
def only(pid, others):
    """One worker at work while the others stand still."""
    for other in others:
        os.kill(other, signal.SIGSTOP)
    try:
        yield pid
    finally:
        for other in others:
            os.kill(other, signal.SIGCONT)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="workers are found in /proc")
def test_several_processes_without_a_store_score_and_change_no_users(started):
    process, url, _ = started("--workers", "2")
    one, other = workers_of(process, url)
    for mine, theirs in ((one, other), (other, one)):
        with only(mine, [theirs]):
            assert {ask(url).json()["status"] for _ in range(5)} == {"ok"}
    refused = WEB.post(f"{url}/v1/users/new/pairs", json={"pairs": [PAIR]})
    assert refused.status_code == WEB.delete(f"{url}/v1/users/u0").status_code == 409
    assert "--store" in refused.json()["error"]
    for _ in range(200):
        page = WEB.get(f"{url}/metrics").text
        if 'synthesizeme_rows_total{status="ok"} 10.0' in page:
            break
        time.sleep(0.05)
    assert 'synthesizeme_requests_total{code="200",route="score"} 10.0' in page, (
        "whoever is asked tells of both"
    )
    assert "synthesizeme_users 6.0" in page
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="workers are found in /proc")
def test_what_one_process_writes_the_other_knows_at_once(started, tmp_path):
    pytest.importorskip("sqlalchemy")
    history = resource("data/sample/pairs.jsonl")
    process, url, _ = started("--workers", "2", "--store", tmp_path / "users.sqlite", "--data", history)
    one, other = workers_of(process, url)
    for mine, theirs in ((one, other), (other, one)):
        with only(mine, [theirs]):
            assert ask(url, "mara").json()["status"] == "ok", "both know those of the file"
    with only(one, [other]):
        assert WEB.post(f"{url}/v1/users/new/pairs", json={"pairs": [PAIR]}).status_code == 200
        value = ask(url, "new").json()["value"]
        assert WEB.delete(f"{url}/v1/users/u0").json()["deleted"] == {
            "pairs": 0,
            "feedback": 0,
            "words": False,
            "versions": 0,
            "state": True,
        }
    with only(other, [one]):
        assert ask(url, "new").json()["value"] == value
        assert ask(url, "u0").json()["status"] == "unknown_user"
        assert ask(url, "u1").json()["status"] == "ok"
        more = {**PAIR, "prompt": "And now?"}
        added = WEB.post(f"{url}/v1/users/new/pairs", json={"pairs": [more]}).json()
        assert added == {"user_id": "new", "added": 1, "pairs": 2}
        value = ask(url, "new").json()["value"]
    with only(one, [other]):
        assert ask(url, "new").json()["value"] == value
        assert WEB.delete(f"{url}/v1/users/new").json()["deleted"] == {
            "pairs": 2,
            "feedback": 0,
            "words": False,
            "versions": 0,
            "state": True,
        }
    with only(other, [one]):
        assert ask(url, "new").json()["status"] == "unknown_user"
        assert WEB.get(f"{url}/v1/users/new").status_code == 404
    os.kill(one, signal.SIGKILL)
    while one in (now := workers_of(process, url)):
        time.sleep(0.05)
    with only(next(pid for pid in now if pid != other), [other]):
        assert ask(url, "mara").json()["status"] == "ok", "the worker that took its place"
        assert ask(url, "u0").json()["status"] == "unknown_user", "who was deleted does not come back with it"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_what_is_wrong_with_several_processes_is_said_once(checkpoint, tmp_path, capfd):
    assert main(["serve", "--reward-model", str(tmp_path / "absent"), "--workers", "2", "--port", "0"]) == 1
    assert "no checkpoint" in capfd.readouterr().err
    assert main(["serve", "--reward-model", str(checkpoint), "--workers", "2", "--data", "absent.jsonl"]) == 2
    assert "needs --store" in capfd.readouterr().err


@pytest.mark.parametrize("sealed", [False, True])
def test_a_store_outlives_the_server(started, tmp_path, sealed):
    pytest.importorskip("sqlalchemy")
    place = ["--store", tmp_path / "users.sqlite"]
    if sealed:
        (tmp_path / "key").write_text(base64.b64encode(os.urandom(32)).decode())
        (tmp_path / "key").chmod(0o600)
        place += ["--key-file", tmp_path / "key"]
    pair = {"pair_id": "n1", "prompt": "Q?", "chosen": "a sunny ship!", "rejected": "a frosty ship."}
    process, url, _ = started(*place)
    assert ask(url, "newcomer").json()["status"] == "unknown_user"
    assert WEB.post(f"{url}/v1/users/newcomer/pairs", json={"pairs": [pair]}).status_code == 200
    value = ask(url, "newcomer").json()["value"]
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    _, url, _ = started(*place)
    assert ask(url, "newcomer").json()["value"] == value
    deleted = WEB.delete(f"{url}/v1/users/newcomer").json()["deleted"]
    assert deleted == {"pairs": 1, "feedback": 0, "words": False, "versions": 0, "state": True}
    assert ask(url, "newcomer").json()["status"] == "unknown_user"
    assert not [path for path in tmp_path.glob("users.sqlite*") if b"sunny" in path.read_bytes()]


def test_a_key_without_a_store_is_refused(checkpoint):
    with pytest.raises(ConfigError, match="--key-file is the key of the store"):
        application(ServerOptions(model=str(checkpoint), key_file="key"))


def test_a_program_is_told_where_it_is_served_as_json(started):
    _, url, log = started("--json")
    assert json.loads(Path(log).read_text())["url"] == url
