from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from openai_stub import OpenAIStub

from synthesizeme.backends import (
    Answer,
    CallCache,
    ModelSettings,
    Question,
    Session,
    Token,
    default_cache_dir,
    open_model,
)
from synthesizeme.errors import ConfigError
from synthesizeme.types import Message


def test_keeps_what_was_put_and_knows_nothing_else(tmp_path):
    with CallCache(tmp_path / "new" / "folder") as cache:
        cache.put("key", "reply ☃")
        assert cache.get("key") == "reply ☃"
        assert cache.get("other") is None
        cache.put("key", "newer")
    with CallCache(tmp_path / "new" / "folder") as cache:
        assert cache.get("key") == "newer"


def test_two_caches_of_one_folder_see_each_others_calls(tmp_path):
    with CallCache(tmp_path) as one, CallCache(tmp_path) as two:
        one.put("a", "1")
        two.put("b", "2")
        assert (two.get("a"), one.get("b")) == ("1", "2")


def test_threads_may_share_a_cache(tmp_path):
    with CallCache(tmp_path) as cache:

        def fill(name):
            for n in range(50):
                cache.put(f"{name}{n}", name)

        threads = [threading.Thread(target=fill, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(cache.get(f"{name}{n}") == name for name in "abcd" for n in range(50))


def test_many_may_make_it_at_once(tmp_path):
    """SQLite lets nobody wait who switches a file to write-ahead logging while others do."""
    start, failed = threading.Barrier(6), []

    def make():
        for number in range(25):
            start.wait(60)
            try:
                CallCache(tmp_path / str(number)).close()
            except ConfigError as error:
                failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_folder_that_cannot_be_made_is_refused_with_a_cure(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/no-such-place")):
        with pytest.raises(ConfigError, match=r"cannot be used.*--cache-dir.*--no-cache"):
            CallCache(folder)


@pytest.mark.parametrize(
    "content", [b"this is no database, but it is long enough " * 50, b"SQLite format 3\0" + b"\7" * 5000]
)
def test_a_file_that_is_no_cache_is_refused_and_left_alone(tmp_path, content):
    (tmp_path / "calls.sqlite").write_bytes(content)
    with pytest.raises(ConfigError, match=r"calls\.sqlite cannot be used.*delete the file"):
        CallCache(tmp_path)
    assert (tmp_path / "calls.sqlite").read_bytes() == content


def test_a_file_damaged_in_use_is_an_error_with_a_cure(tmp_path):
    with CallCache(tmp_path) as cache:
        cache._file._connection.execute("DROP TABLE replies")
        with pytest.raises(ConfigError, match=r"cannot be read.*delete the file"):
            cache.get("key")
        with pytest.raises(ConfigError, match="cannot be written"):
            cache.put("key", "reply")


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"text": 1, "no such field": 2, "tokens": []}', "{}"])
def test_a_damaged_reply_is_asked_again(openai_stub: OpenAIStub, tmp_path, damaged):
    question = Question((Message(role="user", content="q"),))
    model = open_model("m", ModelSettings(api_base=openai_stub.base_url))
    for _ in range(2):
        with CallCache(tmp_path) as cache, Session(model, cache=cache) as session:
            assert session.ledger().ask([question])[0].text == "First"
        connection = sqlite3.connect(tmp_path / "calls.sqlite")
        connection.execute("UPDATE replies SET value = ?", (damaged.encode(),))
        connection.commit()
        connection.close()
    assert len(openai_stub.requests) == 2


def test_an_answer_survives_the_cache_unchanged():
    tokens = (Token("First", (("First", -0.1), ("Second", -2.5))), Token("☃", (("☃", float("-inf")),)))
    answer = Answer("First ☃", tokens, 12, 2, 0.0125, cut_off=True)
    assert Answer.from_json(answer.to_json()) == answer
    assert "\n" not in Answer("a\nb").to_json()


def test_the_file_holds_no_prompt(openai_stub: OpenAIStub, tmp_path):
    question = Question((Message(role="user", content="my secret wish"),))
    model = open_model("m", ModelSettings(api_base=openai_stub.base_url))
    with CallCache(tmp_path) as cache, Session(model, cache=cache) as session:
        session.ledger().ask([question])
    assert b"secret" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_the_default_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("SYNTHESIZEME_CACHE_DIR", "/own")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert default_cache_dir() == Path("/own")
    monkeypatch.delenv("SYNTHESIZEME_CACHE_DIR")
    assert default_cache_dir() == Path("/xdg/synthesizeme")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / ".cache" / "synthesizeme"
