"""``--effort high`` at an endpoint that samples: what is printed, kept and asked again by `judge`."""

from __future__ import annotations

import hashlib
import json

import pytest
from invented import pair, shorter

from synthesizeme.personas.owner import save
from synthesizeme.profile import Persona, PersonaSentence, UserProfile

ASK = ["--prompt", "How deep is it?", "--first", "Six feet.", "--second", "A fathom is a unit of length."]


def noisy(body):
    """Sees which answer begins with "Six feet", and says so in four of five samples."""
    text = body["messages"][-1]["content"]
    if "<statement>" in text:
        return shorter(text)
    if "<pair " in text:
        return "The user prefers short answers. [1]"
    at = text.rindex("<second_response>")
    right = hashlib.sha256(f"{text}\0{body.get('seed')}".encode()).digest()[0] < 200
    first = "Six feet" in text[:at].rpartition("<first_response>")[2]
    return f"Preference: {'First' if right == first else 'Second'}"


@pytest.fixture
def rows(tmp_path):
    splits = ["train"] * 20 + ["validation"] * 12
    found = [pair(n, split=split).model_dump_json() for n, split in enumerate(splits)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(found) + "\n")
    return "pairs.jsonl"


def test_calls_and_gain_are_printed_and_the_profile_is_judged_so(command, openai_stub, rows, tmp_path):
    openai_stub.answer = noisy
    at = ("--model", "m", "--api-base", openai_stub.base_url, "--no-cache")
    shown = command("induce-persona", rows, *at, "--effort", "high", "--no-evaluate")
    assert shown.status == 0, shown.err
    (profile,) = (tmp_path / "out").rglob("profile.json")
    kept = json.loads(profile.read_text())["averaging"]
    calls = 2 * kept["samples"]
    assert kept["samples"] > 1
    said = " ".join(shown.out.split())
    assert f"averaged over {kept['samples']} samples: {calls} calls a pair" in said
    assert f"{100 * kept['gain']:+.1f} points on 12 validation pairs" in said
    openai_stub.requests.clear()
    assert command("judge", "--store", tmp_path / "out", *ASK, *at, "--json").status == 0
    assert len(openai_stub.requests) == calls
    assert {body.get("seed") for body in openai_stub.requests} == {None, *range(1, kept["samples"])}
    assert {body["temperature"] for body in openai_stub.requests if "seed" in body} == {0.7}


def test_neighbours_are_sought_in_the_profiles_that_an_earlier_run_wrote(
    command, openai_stub, rows, tmp_path
):
    told = Persona(
        sentences=(PersonaSentence(text="The user prefers short answers."),), made_by="m", prompt_id="p"
    )
    for name, persona in (("bob", told), ("eve", None)):
        save(tmp_path / "others", UserProfile(user_id=name, persona=persona), "judge/default")

    def answer(body):
        text = str(body["messages"])
        if "short answers" in text and "<pair " not in text:
            return shorter_one(body["messages"][-1]["content"])
        return "Nothing." if "<pair " in text else "Preference: First\nConfidence: 60"

    openai_stub.answer = answer
    at = ("--model", "m", "--api-base", openai_stub.base_url, "--no-cache", "--temperature", 0)
    made = command("induce-persona", rows, *at, "--effort", "high", "--neighbours", "others", "--json")
    assert made.status == 0, made.err
    (user,) = made.json["users"]
    assert user["averaging"]["neighbours"] == [told.text]
    openai_stub.requests.clear()
    assert command("judge", "--store", tmp_path / "out", *ASK, *at, "--json").json["preference"] == "first"
    assert len(openai_stub.requests) == 4


def shorter_one(text):
    first = text.rsplit("<first_response>\n", 1)[1].split("<second_response>\n")[0]
    return f"Preference: {'First' if 'Six feet' in first else 'Second'}\nConfidence: 90"


def test_neighbours_are_refused_where_nobody_would_look_at_them(command, rows, tmp_path):
    for flags, words in (
        ((), "this is the economical search at medium effort"),
        (("--effort", "high", "--search", "paper"), "this is the paper search at high effort"),
        (("--effort", "high", "--store", "s.db", "--all-users"), "it does not go with --store"),
    ):
        ran = command("induce-persona", rows, "--neighbours", "others", *flags)
        assert ran.status == 2
        assert words in " ".join(ran.err.split())
