"""How the processes of a server tell one another of changed users."""

from __future__ import annotations

import pytest
import two_tastes

from synthesizeme.errors import StoreUnavailableError
from synthesizeme.serving.stores import Changes
from synthesizeme.serving.users import Users

KEY = bytes(32)


def history(number, user="new"):
    return two_tastes.asked_as(two_tastes.population(1, number, seed=1), user)


@pytest.fixture
def both(tmp_path):
    """What two processes hold of one file."""
    return Changes(tmp_path / "changes", KEY), Changes(tmp_path / "changes", KEY)


def test_each_hears_of_what_others_changed_and_once(both):
    mine, theirs = both
    assert not theirs.any()
    mine.tell("ann")
    mine.tell("bob")
    assert theirs.any()
    assert theirs.news() == {theirs.digest("ann"), theirs.digest("bob")}
    assert not theirs.any()
    assert theirs.news() == mine.news() == set()


def test_who_comes_later_hears_everything(both, tmp_path):
    both[0].tell("ann")
    late = Changes(tmp_path / "changes", KEY)
    assert late.news() == {late.digest("ann")}


def test_the_file_holds_no_id_and_its_digests_need_the_key(both, tmp_path):
    both[0].tell("ann-who-must-not-be-named")
    content = (tmp_path / "changes").read_bytes()
    assert b"ann" not in content
    assert Changes(tmp_path / "changes", bytes([1] * 32)).digest("ann") != both[0].digest("ann")


def test_half_a_record_waits_for_its_other_half(both, tmp_path):
    mine, theirs = both
    mine.tell("ann")
    whole = (tmp_path / "changes").read_bytes()
    with (tmp_path / "changes").open("ab") as file:
        file.write(b"x" * 10)
    assert theirs.news() == {theirs.digest("ann")}
    assert theirs.any()
    with (tmp_path / "changes").open("ab") as file:
        file.write(b"x" * (len(whole) - 10))
    assert len(theirs.news()) == 1


@pytest.fixture
def two(both, stub, away_store):
    """Users of two processes with one store; the model of the first is a stub of its own."""
    first = Users(type(stub)(), away_store, changes=both[0])
    return first, Users(stub, away_store, changes=both[1])


def test_a_change_is_taken_over_before_the_user_is_asked_about(two, stub):
    mine, theirs = two
    assert not theirs.behind(["new"])
    mine.add("new", history(2))
    assert theirs.behind(["ann"])
    theirs.catch_up(["ann"])
    assert "new" not in stub.users_, "nobody has asked for this user yet"
    assert theirs.behind(["new"])
    assert not theirs.behind(["ann"])
    theirs.catch_up(["new"])
    assert len(stub.users_["new"]["pairs"]) == 2
    mine.delete("new")
    mine.delete("ann")
    theirs.catch_up([])
    assert set(stub.users_) == {"bob"}, "whom the model knows is taken over at once"


def test_adding_begins_where_others_ended(two):
    mine, theirs = two
    mine.delete("ann")
    assert theirs.add("ann", history(2, "ann")) == {"added": 2, "pairs": 2}
    assert len(mine.export("ann")["pairs"]) == 2


def test_a_store_that_is_away_keeps_nobody_waiting_who_is_not_concerned(two, stub):
    mine, theirs = two
    mine.delete("ann")
    theirs.store.away = True
    theirs.catch_up(["bob"])
    assert theirs.behind(["ann"])
    assert not theirs.behind(["bob"])
    with pytest.raises(StoreUnavailableError):
        theirs.catch_up(["ann"])
    theirs.store.away = False
    theirs.catch_up(["ann"])
    assert "ann" not in stub.users_


def test_a_store_that_is_away_is_read_later(two, stub):
    mine, theirs = two
    mine.add("new", history(2))
    theirs.store.away = True
    with pytest.raises(StoreUnavailableError):
        theirs.catch_up(["new"])
    theirs.store.away = False
    assert theirs.behind(["new"])
    theirs.catch_up(["new"])
    assert "new" in stub.users_
