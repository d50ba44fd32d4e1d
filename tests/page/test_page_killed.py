"""A page that is killed loses no answer that it took, and asks on where it was."""

from __future__ import annotations

import threading

import httpx
from person import Person

from synthesizeme.profiles import open_store


def test_kill_9_loses_no_given_answer_and_a_form_of_before_still_counts(tmp_path, start):
    store = tmp_path / "choices.db"
    first = start(store)
    person = Person(first.url)
    person.agree()
    taken = []

    def choose():
        try:
            while True:
                path = person.path
                person.choose("first")
                assert person.response.status_code == 200
                taken.append(path)
        except httpx.TransportError:
            return

    choosing = threading.Thread(target=choose)
    choosing.start()
    while len(taken) < 12:
        choosing.join(0.01)
        assert choosing.is_alive()
    first.kill()
    choosing.join(30)
    with open_store(store, create=False) as opened:
        assert (
            len(taken) <= len(opened.pairs("me")) <= len(taken) + 1
        )  # one may be taken whose answer was not sent
    second = start(store, port=first.port)
    shown = person.look("/")
    assert person.path.startswith(("/question/", "/again/"))
    assert f"{sum(not it.startswith('/again/') for it in taken)} of 60" in shown.text or len(taken) < 60
    person.choose("tie")
    assert person.response.status_code == 200
    person.close()
    assert second.stop() == ""
    with open_store(store, create=False) as opened:
        assert len(opened.feedback("me")) == 1
        ids = [pair.pair_id for pair in opened.pairs("me")]
    assert len(ids) == len(set(ids))
