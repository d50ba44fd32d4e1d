"""The page of `induce-persona`: the persona with its evidence, numbers with pairs, many users, hostile words."""

from __future__ import annotations

from page_parts import Page, outcome, pair

from synthesizeme.induction.one_user import UserResult
from synthesizeme.profile import (
    Candidate,
    Caution,
    Persona,
    PersonaSentence,
    Provenance,
    Quote,
    UserProfile,
)
from synthesizeme.report_pages.measured import ROOM
from synthesizeme.report_pages.personas import persona_page
from synthesizeme.types import Usage

EVERY = "Every pair, and what was said about it"


def result(user="ann", *, said="prefers short answers", persona=True, pairs=4, **fields):
    quote = Quote(pair_id="t1", asked="How <b>", chosen="so", rejected="or so", held=True, reason="short")
    sentence = PersonaSentence(
        text=said, pair_ids=("t1", "t2"), against=("t3",), silent=4, gain=0.1, quotes=(quote,)
    )
    own = PersonaSentence(text="I dislike lists", by="owner", pinned=True)
    made = Provenance(
        model="m", model_kind="reader", search="economical", effort="medium", seed=0, split_rule="given in the rows",
        splits={"t1": "train", "p0": "test"}, usage=Usage(calls=9, distinct_calls=9),
        candidates=(Candidate(name="persona alone", shrunken_gain=0.12, correct=7.5, judged=10, selected=True),),
    )  # fmt: skip
    test = [pair(f"p{i}" if user == "ann" else f"{user} {i}", user) for i in range(pairs)]
    return UserResult(
        profile=UserProfile(
            user_id=user,
            persona=Persona(sentences=(sentence, own), made_by="m", prompt_id="t") if persona else None,
            cautions=(Caution(kind="chance", text="verdicts are at chance", figures={}),),
            provenance=made,
        ),
        pairs={"train": 3, "validation": 1, "test": pairs},
        usage=Usage(calls=9, distinct_calls=9, prompt_tokens=1234),
        call_limit=20,
        outcomes={
            "default": outcome("default", test, [0.4] * pairs),
            "both": outcome("both", test, [0.9] * (pairs - 1) + [0.2]),
        },
        notes=("a note",),
        **fields,
    )


def test_the_persona_stands_with_its_evidence_its_accuracy_and_its_price():
    page = Page(persona_page([result()], mark="m"))
    for said in (
        "Persona of ann", "prefers short answers", "held in 2 of 3 choices where it applied",
        "for: asked “How <b>”, chose “so” over “or so”, because “short”", "held in: t1, t2", "against: t3",
        "I dislike lists", "the user's own words, pinned", "Caution: verdicts are at chance", "Note: a note",
        "at most 20 calls of the induction", "beginnings of what the users asked",
    ):  # fmt: skip
        assert said in page.text
    assert page.table(EVERY)[1:] == [
        ["p0", "ann", "✗ 40", "✓ 90"],
        ["p1", "ann", "✗ 40", "✓ 90"],
        ["p2", "ann", "✗ 40", "✓ 90"],
        ["p3", "ann", "✗ 40", "✗ 20"],
    ]
    accuracy = page.table("Accuracy")
    assert [row[:2] for row in accuracy[1:]] == [["default", "0.0"], ["both", "75.0"]]
    calls = page.table("Calls of the model; every question is counted once")
    assert calls[1][:5] == ["induction", "9", "0", "0", "1,234"]
    assert page.table("The split of every pair")[1:] == [["t1", "train"], ["p0", "test"]]
    bars = [it["aria-label"] for tag, it in page.tags if tag == "svg"]
    assert "held 2, against 1, silent 4" in bars


def test_nothing_found_is_said_and_texts_come_only_when_given():
    without = persona_page([result(persona=False)], mark="m")
    assert "Nothing yet" in Page(without).text
    test = [pair("p0", "ann", chosen="a secret"), pair("p1", "bob", chosen="another's")]
    assert "a secret" not in without
    page = Page(persona_page([result()], mark="m", test=test))
    assert "a secret" in page.text
    assert "another's" not in page.text
    assert "texts of the test pairs" in page.text


def test_several_users_are_listed_linked_and_measured_together():
    found = [result("ann"), result("bob", persona=False)]
    page = Page(persona_page(found, mark="m", failed=[("cy", "no <answer>")]))
    rows = page.table("Every user; accuracies in % are of the judges by name")
    assert rows[1:] == [
        ["ann", "8", "2", "0.0", "75.0", "9", "1"],
        ["bob", "8", "0", "0.0", "75.0", "9", "1"],
    ]
    assert "cy failed: no <answer>" in page.text
    assert [row[1] for row in page.tables[1][1][1:]] == ["0.0", "75.0"]
    ids = [it["id"] for _, it in page.tags if it.get("id")]
    assert len(ids) == len(set(ids))
    assert {it["href"][1:] for tag, it in page.tags if tag == "a"} <= set(ids)


def test_very_many_users_stay_light_and_all_are_in_the_table():
    text = persona_page([result(f"user {i}", pairs=12) for i in range(150)], mark="m")
    page = Page(text)
    assert len(text.encode()) < ROOM * 1.1
    assert len(page.table("Every user; accuracies in % are of the judges by name")) == 151
    shown = sum(tag == "h2" for tag, _ in page.tags) - 2
    assert 5 < shown < 150
    assert f"Of 150 users the first {shown} are shown" in page.text


def test_hostile_words_of_a_model_and_of_users_are_text():
    said = "<script>alert(1)</script>\u202e"
    page = Page(persona_page([result(said, said=said), result("b")], mark="m"))
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert page.text.count("<script>alert(1)</script>\\u202e") >= 3
    assert "\u202e" not in page.text
