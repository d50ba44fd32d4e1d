from __future__ import annotations

import io
import json

import pytest

from synthesizeme.profiles.folder import folder_name

LONG = (
    "Great question! There are so many wonderful ways to think about this, and perhaps you might possibly want to "
    "consider a few of them first!"
)
ASK = ["--prompt", "How long do I boil an egg?", "--first", "Seven minutes.", "--second", LONG]


@pytest.fixture
def mara(command, sample, tmp_path):
    assert command("induce-persona", sample, "--user", "mara", "--no-evaluate").status == 0
    return tmp_path / "out"


def test_verdict_probability_and_reasoning_in_both_orders(command, mara):
    ran = command("judge", "--store", mara, *ASK, "--json")
    assert ran.status == 0, ran.err
    assert ran.json["user_id"] == "mara"
    assert ran.json["preference"] == "first"
    assert ran.json["probability"] > 0.5
    assert ran.json["reasoning"]
    assert ran.json["order_consistent"] is True
    assert [order["shown_first"] for order in ran.json["orders"]] == ["first", "second"]
    assert ran.json["usage"]["distinct_calls"] == 2
    swapped = ["--prompt", ASK[1], "--first", LONG, "--second", ASK[3]]
    assert command("judge", "--store", mara, *swapped, "--json").json["preference"] == "second"
    human = command("judge", "--store", mara, *ASK)
    assert "mara prefers the first response" in human.out


def test_profile_may_be_a_folder_of_users_of_one_user_or_a_file(command, mara, sample):
    own = mara / folder_name("mara")
    for profile in (mara, own, own / "profile.json"):
        assert command("judge", "--store", profile, *ASK, "--json").json["user_id"] == "mara"
    command("induce-persona", sample, "--user", "ilse", "--no-evaluate")
    several = command("judge", "--store", mara, *ASK)
    assert several.status == 2
    assert "ilse" in several.err
    assert command("judge", "--store", mara, "--user", "ilse", *ASK, "--json").json["user_id"] == "ilse"
    assert command("judge", "--store", mara, "--user", "nobody", *ASK).status == 2
    assert command("judge", "--store", own / "profile.json", "--user", "ilse", *ASK).status == 2


def test_comparison_from_a_file_or_standard_input(command, mara, tmp_path, monkeypatch):
    conversation = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Boil an egg?"},
    ]
    text = json.dumps({"prompt": conversation, "first": "Seven minutes.", "second": LONG})
    (tmp_path / "c.json").write_text(text)
    assert command("judge", "--store", mara, "--comparison", "c.json", "--json").json["preference"] == "first"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert command("judge", "--store", mara, "--comparison", "-", "--json").json["preference"] == "first"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "not JSON"), ("[]", "expected an object"), ('{"prompt": "q", "first": "a"}', "'second'"),
        ('{"prompt": "", "first": "a", "second": "b"}', "prompt"),
        ('{"prompt": "q", "first": " ", "second": "b"}', "blank"),
        ('{"prompt": "q", "first": 3, "second": "b"}', "first"),
        ('{"prompt": [], "first": "a", "second": "b"}', "user turn"),
        ('{"prompt": [{"role": "assistant", "content": "x"}], "first": "a", "second": "b"}', "user turn"),
    ],
)  # fmt: skip
def test_a_bad_comparison_is_one_message(command, mara, tmp_path, text, found):
    (tmp_path / "c.json").write_text(text)
    ran = command("judge", "--store", mara, "--comparison", "c.json")
    assert ran.status == 1
    assert found in ran.err
    assert "c.json" in ran.err
    assert ran.err.count("\n") == 1


def test_incomplete_and_contradicting_flags_are_wrong_usage(command, mara):
    assert command("judge", "--store", mara, "--prompt", "q").status == 2
    assert command("judge", "--store", mara, *ASK, "--comparison", "c.json").status == 2
    assert command("judge", *ASK).status == 2


def test_a_profile_that_is_none(command, tmp_path):
    (tmp_path / "profile.json").write_text('{"user_id": 3}')
    ran = command("judge", "--store", "profile.json", *ASK)
    assert ran.status == 1
    assert "user_id" in ran.err
    assert command("judge", "--store", "nowhere", *ASK).status == 1
    (tmp_path / "empty").mkdir()
    assert "index.json" in command("judge", "--store", "empty", *ASK).err


def test_no_verdict_is_a_failure_never_a_tie(command, mara, tmp_path):
    (tmp_path / "replies.json").write_text('["I am sorry, I cannot judge that."]')
    ran = command("judge", "--store", mara, *ASK, "--model", "scripted:replies.json", "--json")
    assert ran.status == 1
    assert ran.out == ""
    assert "refusal" in ran.err


@pytest.mark.parametrize(
    ("consistent", "said"),
    [(True, "The verdict is the same in both orders:"), (False, "The verdict depends on the order:")],
)
def test_whether_the_order_mattered_is_said_in_a_sentence(capsys, consistent, said):
    from synthesizeme.cli.judge import _show
    from synthesizeme.judges.llm_judge import OneComparison
    from synthesizeme.profile import UserProfile
    from synthesizeme.types import Verdict

    first, second = (
        Verdict(preference="first", probability=0.9),
        Verdict(preference="second", probability=0.1),
    )
    _show(UserProfile(user_id="u"), OneComparison(first, first, second if consistent else first), None)
    assert said in " ".join(capsys.readouterr().out.split())
