"""Values are shown in short, and in a notebook without markup of their data."""

from __future__ import annotations

from html.parser import HTMLParser

from invented import pair

from synthesizeme.display import shortened
from synthesizeme.evaluation import evaluate
from synthesizeme.evaluation.controls import LongerResponse
from synthesizeme.evaluation.report import Report, row
from synthesizeme.profile import Caution, OwnTaste, Persona, PersonaSentence, Provenance, UserProfile
from synthesizeme.types import Evidence, PreferencePair

EVIL = "<script>alert(1)</script>"


class Read(HTMLParser):
    """Tags and text of a piece of HTML, which has to close what it opens."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.text = [], set(), []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_long_texts_and_lists_are_shortened_and_defaults_left_out():
    made = pair(0).model_copy(update={"metadata": {"note": "x" * 500}})
    assert len(repr(made)) < 500
    assert "split" not in repr(made)
    assert str(made) == repr(made)
    assert repr(shortened(tuple(range(9)))) == "(0, 1, 2, … 9 in all)"
    assert repr(pair(0)) == repr(PreferencePair.model_validate(pair(0).model_dump()))


def test_a_profile_is_shown_with_its_evidence_and_cautions():
    sentences = (PersonaSentence(text=f"Likes {EVIL}.", pair_ids=("p-1", "p-2")),)
    profile = UserProfile(
        user_id="ada & co",
        persona=Persona(sentences=sentences, made_by="m", prompt_id="t"),
        cautions=(Caution(kind="chance", text="no better than chance", figures={}),),
        provenance=Provenance(
            model="builtin",
            model_kind="k",
            search="economical",
            effort="low",
            seed=0,
            split_rule="",
            notes=("few",),
        ),
    )
    assert (
        repr(profile) == "UserProfile('ada & co', persona of 1 sentence, 0 demonstrations, caution: chance)"
    )
    read = Read(profile._repr_html_())
    assert "script" not in read.tags
    shown = " ".join(read.text)
    for what in (
        "ada & co",
        f"Likes {EVIL}.",
        "p-1, p-2",
        "Caution: no better than chance",
        "Note: few",
        "builtin",
    ):
        assert what in shown
    assert "no persona" in UserProfile(user_id="u")._repr_html_()


def test_weights_are_a_table_only_where_a_user_is_set_apart():
    item = Evidence(
        feature="length", statement=f"short {EVIL}", weight=-0.5, standard_error=0.1, population=None
    )
    found = OwnTaste(p_value=0.01, own=(item,), common=(item,))
    read = Read(found._repr_html_())
    assert {"table", "tr", "td", "th"} <= read.tags
    assert "script" not in read.tags
    assert read.text.count("-0.50") == 2
    assert "Like most people" in read.text
    assert repr(found) == f"OwnTaste(short {EVIL}; p = 0.010)"
    assert "table" not in Read(OwnTaste(p_value=0.9)._repr_html_()).tags


def test_outcomes_and_reports_are_shown():
    outcome = evaluate(LongerResponse(), [pair(number) for number in range(4)])
    assert repr(outcome).startswith("Outcome(longer response, accuracy ")
    assert "table" in Read(outcome._repr_html_()).tags
    report = Report(
        benchmark=f"of {EVIL}",
        protocol="both orders",
        rows=(row("longer", outcome),),
        failed={"x": "gone"},
        notes=("n",),
    )
    read = Read(report._repr_html_())
    assert "script" not in read.tags
    shown = " ".join(read.text)
    assert all(what in shown for what in ("longer", "both orders", "x failed and has no row", "gone"))
    assert repr(report).startswith(f"Report(of {EVIL}: longer ")
