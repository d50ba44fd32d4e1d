"""A team that asks: invitations, known answers, what is exported, many annotators at once."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from synthesizeme.datasets import read_feedback
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.evaluation.agreement import agreement
from synthesizeme.page.project import Invitations, Project, read_project, terms_id

QUESTIONS = 30
ANNOTATORS = 20
EACH = 12


@pytest.fixture
def project(tmp_path):
    """A project with known answers, guidelines and a licence."""
    folder = tmp_path / "project"
    folder.mkdir()
    rows = [
        {"item_id": f"q{n}", "prompt": f"Q{n}?", "responses": [f"a{n} short", f"b{n} rather longer"]}
        for n in range(QUESTIONS)
    ]
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    gold = {"pair_id": "g", "prompt": "Q0?", "chosen": "a0 short", "rejected": "b0 rather longer"}
    (folder / "gold.jsonl").write_text(json.dumps(gold) + "\n", encoding="utf-8")
    (folder / "project.toml").write_text(
        'title = "Tea or coffee"\npool = "pool.jsonl"\ngold = "gold.jsonl"\nlicence = "CC0-1.0"\n'
        'guidelines = "Be **honest**. <b>x</b>"\nagreement = "We keep what you say."\n',
        encoding="utf-8",
    )
    return folder


def invited(page, name):
    """Somebody who has opened the link of their invitation."""
    team = page.page_of_team
    team.look("/team")
    shown = team.send("/team/invite", name=name)
    link = next(
        attributes["value"] for tag, attributes in shown.elements if attributes.get("class") == "link"
    )
    person = page.person()
    person.look(link.removeprefix(page.url))
    return person, link


@pytest.fixture
def team(serve, project):
    page = serve(project=project)
    page.page_of_team = page.person()
    return page


def test_an_annotator_comes_by_a_link_and_sees_their_own_alone(team, project):
    ann, link = invited(team, "ann")
    assert "Tea or coffee" in ann.shown.text
    assert "We keep what you say." in ann.shown.text
    assert "<strong>honest</strong>" in ann.response.text
    assert "<b>" not in ann.response.text
    ann.send("/agree")
    ann.choose("first")
    assert len(team.page.store.pairs("ann")) == 1
    assert team.page.store.pairs("me") == ()
    ann.look("/team")
    assert ann.response.status_code == 403
    assert link.rpartition("/")[2] not in (project / "invitations.json").read_text(encoding="utf-8")
    told = team.page_of_team.look("/team")
    assert "1 answers of 1 people" in told.text
    team.page_of_team.send("/team/revoke", name="ann")
    ann.look("/persona")
    assert "There is 1 choice" not in ann.look("/take").text  # no more ann, but who sits at this machine
    stranger = team.person()
    stranger.look(link.removeprefix(team.url))
    assert stranger.response.status_code == 401


def test_a_new_link_closes_the_old_one_and_links_outlive_the_server(team, project, serve):
    _, old = invited(team, "ann")
    _, new = invited(team, "ann")
    names = Invitations(project)
    assert names.name_of(old.rpartition("/")[2]) is None
    assert names.name_of(new.rpartition("/")[2]) == "ann"
    assert names.name_of("") is None
    for wrong in ("", " ", "x" * 65, "a\nb"):
        with pytest.raises(DataError):
            names.invite(wrong)
    with pytest.raises(DataError, match="no project"):
        Invitations(None).invite("ann")


def test_known_answers_are_counted_and_the_export_has_kinds_licence_and_agreement(team, tmp_path):
    ann, _ = invited(team, "ann")
    ann.send("/agree")
    for choice in (
        "first",
        "tie",
        "first",
        "good",
        "bad",
        "second",
        "first",
        "first",
        "first",
        "first",
        "first",
    ):
        ann.choose(choice)
    gold = [it for it in team.page.store.pairs("ann") if "gold" in it.metadata]
    assert [it.metadata["gold"] for it in gold] == [gold[0].chosen_text == "a0 short"]
    told = team.page_of_team.look("/team")
    assert f"{int(gold[0].metadata['gold'])} of 1" in told.text
    exported = team.page_of_team.client.get("/team/feedback.jsonl")
    path = tmp_path / "feedback.jsonl"
    path.write_bytes(exported.content)
    read = read_feedback(path)
    assert (len(read.pairs), len(read.feedback)) == (8, 3)
    assert {it.both for it in read.feedback} == {None, "good", "bad"}
    for it in (*read.pairs, *read.feedback):
        assert it.metadata["licence"] == "CC0-1.0"
        assert it.metadata["agreed"] == terms_id("We keep what you say.")
    assert [it.metadata.get("agreed_to") for it in read.pairs].count("We keep what you say.") == 1
    assert team.page_of_team.client.get("/team/counts").json() == {"answers": 11, "annotators": 1}


def test_how_far_people_agree_is_told_whichever_side_an_answer_stood_on(team):
    people = [invited(team, name)[0] for name in ("ann", "bob")]
    assert "Krippendorff" not in team.page_of_team.look("/team").text
    for person in people:
        person.send("/agree")
        for number in range(QUESTIONS // 2 + 3):  # more than half of them, so that some are answered by both
            person.choose("first" if number % 3 else "tie")
    store = team.page.store
    told = agreement(it for name in ("ann", "bob") for it in (*store.pairs(name), *store.feedback(name)))
    shown = team.page_of_team.look("/team").text
    assert told.compared
    assert f"for chance: {told.nominal.value:.2f}" in shown
    assert f"{len(told.compared)} questions that several people answered" in shown
    assert f"{100 * told.annotators[0].agrees:.0f} %" in shown


def test_twenty_annotators_at_once_lose_and_double_nothing(team):
    people = [invited(team, f"annotator {number}")[0] for number in range(ANNOTATORS)]

    def work(person):
        person.send("/agree")
        for number in range(EACH):
            path, before = person.path, person.shown.forms
            choice = ("first", "second", "tie")[number % 3]
            person.choose(choice)
            assert person.response.status_code == 200
            secret = next(form["fields"]["secret"] for form in before if form["action"] == path)
            again = person.client.post(path, data={"secret": secret, "choice": choice})  # a double click
            assert again.status_code == 200
            person.look("/")

    with ThreadPoolExecutor(ANNOTATORS) as threads:
        list(threads.map(work, people))
    for number in range(ANNOTATORS):
        name = f"annotator {number}"
        said = [*team.page.store.pairs(name), *team.page.store.feedback(name)]
        assert len(said) == EACH
        assert {it.user_id for it in said} == {name}
    counts = team.page_of_team.client.get("/team/counts").json()
    assert counts == {"answers": ANNOTATORS * EACH, "annotators": ANNOTATORS}


@pytest.mark.parametrize(("text", "wrong"), [
    ("", None), ("title = 3", "title is 3"), ("titel = 'x'", "'titel' is no key"), ("title = ' '", "not blank"), ("=", "cannot be read"),
])  # fmt: skip
def test_a_wrong_project_says_what_is_wrong(tmp_path, text, wrong):
    (tmp_path / "project.toml").write_text(text, encoding="utf-8")
    if wrong is None:
        assert read_project(tmp_path) == Project()
        return
    with pytest.raises(ConfigError, match=wrong):
        read_project(tmp_path)
    with pytest.raises(ConfigError, match=r"project\.toml cannot be read"):
        read_project(tmp_path / "nowhere")


def test_what_is_agreed_to_says_who_reads_it():
    assert "Nothing of it leaves this computer" in Project().terms("`x`", None)
    assert "`openai/m` is sent" in Project().terms("`x`", "openai/m")
    assert Project(agreement="Ours.").terms("`x`", "openai/m") == "Ours."
    assert re.fullmatch("[0-9a-f]{12}", terms_id("Ours."))
