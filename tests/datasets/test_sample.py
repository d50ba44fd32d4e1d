"""The shipped sample: valid, varied, and with taste in it that is more than length."""

from __future__ import annotations

import json
import re
from collections import Counter
from statistics import median

import pytest

from synthesizeme.discovery import resource
from synthesizeme.types import PreferencePair

USERS = ("mara", "tobias", "ilse")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, object]]:
    text = resource("data/sample/pairs.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def pairs(rows: list[dict[str, object]]) -> list[PreferencePair]:
    return [PreferencePair.model_validate(row) for row in rows]


def _words(text: str) -> int:
    return len(text.split())


def test_twenty_pairs_of_each_of_three_users(pairs: list[PreferencePair]) -> None:
    assert Counter(pair.user_id for pair in pairs) == dict.fromkeys(USERS, 20)
    assert len({pair.pair_id for pair in pairs}) == len(pairs)


def test_rows_leave_the_split_to_the_command(rows: list[dict[str, object]]) -> None:
    assert all(set(row) == {"pair_id", "user_id", "prompt", "chosen", "rejected", "metadata"} for row in rows)


def test_no_text_occurs_twice(pairs: list[PreferencePair]) -> None:
    responses = [text for pair in pairs for text in (pair.chosen_text, pair.rejected_text)]
    assert len(set(responses)) == len(responses)
    assert len({pair.prompt for pair in pairs}) == len(pairs)
    openings = Counter(" ".join(text.split()[:4]).lower() for text in responses)
    assert max(openings.values()) <= 3


def test_some_conversations_have_several_turns(pairs: list[PreferencePair]) -> None:
    several = [pair for pair in pairs if len(pair.prompt) > 1]
    assert 6 <= len(several) <= 15
    assert {pair.user_id for pair in several} == set(USERS)
    for pair in several:
        assert [message.role for message in pair.prompt] == ["user", "assistant", "user"]


def test_each_user_has_one_demographic_profile(pairs: list[PreferencePair]) -> None:
    for user in USERS:
        profiles = [pair.metadata["user_profile"] for pair in pairs if pair.user_id == user]
        assert all(profile == profiles[0] for profile in profiles)
        assert {"age", "occupation", "country"} <= set(profiles[0])


def test_answers_have_the_length_of_answers(pairs: list[PreferencePair]) -> None:
    lengths = [_words(text) for pair in pairs for text in (pair.chosen_text, pair.rejected_text)]
    assert min(lengths) >= 20
    assert max(lengths) <= 180
    for user in USERS:
        mine = [pair for pair in pairs if pair.user_id == user]
        for texts in ([pair.chosen_text for pair in mine], [pair.rejected_text for pair in mine]):
            assert 40 <= median(map(_words, texts)) <= 110


def test_length_is_not_what_the_choices_are_about(pairs: list[PreferencePair]) -> None:
    longer = {
        user: sum(
            _words(pair.chosen_text) > _words(pair.rejected_text) for pair in pairs if pair.user_id == user
        )
        for user in USERS
    }
    assert all(5 <= count <= 15 for count in longer.values())
    assert min(longer.values()) < 10 < max(longer.values())


def test_users_differ_in_the_form_they_prefer(pairs: list[PreferencePair]) -> None:
    """Lists or code in the chosen response against the rejected one: one user is for it, two are against."""

    def structured(text: str) -> bool:
        return bool(re.search(r"^(- |\d+\. |```|\|)", text, re.MULTILINE))

    leaning = {
        user: sum(
            structured(pair.chosen_text) - structured(pair.rejected_text)
            for pair in pairs
            if pair.user_id == user
        )
        for user in USERS
    }
    assert leaning["tobias"] >= 5
    assert leaning["mara"] <= -3
    assert leaning["ilse"] <= -3
    asks = {
        user: sum(
            pair.chosen_text.endswith("?") - pair.rejected_text.endswith("?")
            for pair in pairs
            if pair.user_id == user
        )
        for user in USERS
    }
    assert asks["ilse"] >= 5
    assert abs(asks["mara"]) <= 3


def test_the_readme_states_the_lengths_as_they_are(pairs: list[PreferencePair]) -> None:
    counts = Counter(pair.user_id for pair in pairs if _words(pair.chosen_text) > _words(pair.rejected_text))
    readme = " ".join(resource("data/sample/README.md").read_text(encoding="utf-8").split())
    assert f"{counts['mara']} of 20 pairs by `mara`" in readme
    assert counts["tobias"] == counts["ilse"]
    assert f"in {counts['tobias']} of 20 pairs by `tobias` and by `ilse`" in readme
