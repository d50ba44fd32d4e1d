"""LaMP's files: read, found, refused when wrong; the planted authors; the pairs made of them."""

from __future__ import annotations

import json

import pytest

from synthesizeme.datasets import load_dataset, read_pairs
from synthesizeme.datasets.lamp import TASKS, lamp_pairs, lamp_task, load_lamp, planted_lamp, write_planted
from synthesizeme.discovery import resource
from synthesizeme.errors import DataError, UnknownNameError

NAMES = [f"{family}/{number}" for family in ("lamp", "lamp-time") for number in TASKS]
SIZES = {"lamp": {"users": 8, "items": 8}, "lamp-time": {"users": 6, "items": 6}}


def documents(number=4, **sizes):
    return planted_lamp(number, **({"users": 4, "items": 5} | sizes))


def written(folder, made, number=4, part="user"):
    """A folder of data with these documents."""
    place = folder / "lamp" / part / f"LaMP_{number}"
    place.mkdir(parents=True)
    for what, document in made.items():
        (place / f"dev_{what}.json").write_text(json.dumps(document))
    return folder


def test_queries_follow_the_rule_of_each_task():
    asked = (
        'For the author of "Sea: a study", which one? Just [1] or [2]. [1]: "On tides" [2]: "A "salt" lamp"'
    )
    assert lamp_task(1).query(asked) == 'On tides A "salt" lamp'
    assert lamp_task(1).title_asked(asked) == "Sea: a study"
    assert lamp_task(2).query("Which tag? tags: [comedy] description: A dog: a cat") == "A dog: a cat"
    assert lamp_task(3).query("Score this. review: fine: really") == "fine: really"
    assert lamp_task(4).query("Headline for the following article: It rained") == "It rained"
    assert lamp_task(5).query("Title for the abstract of a paper: We show: much") == "We show: much"
    assert lamp_task(6).query("Subject for this email: Hi: there") == "Hi: there"
    assert lamp_task(7).query("Paraphrase: gm: world") == "gm: world"
    assert lamp_task(4).query("no marker at all") == "no marker at all"


def test_names_of_tasks():
    assert [lamp_task(name).number for name in ("lamp/4", "LaMP_4", 4, "lamp-time/4")] == [4] * 4
    with pytest.raises(UnknownNameError, match="lamp/1"):
        lamp_task("lamp/8")


@pytest.mark.parametrize("name", NAMES)
def test_the_sample_is_what_the_generator_makes_and_reads(name):
    data = load_lamp(name)
    assert data.invented
    assert data.name == name
    family, _, number = name.partition("/")
    made = planted_lamp(number, separation=data.separation, **SIZES[family])
    place = resource("data/sample/lamp") / data.separation / data.task.name
    for what, document in made.items():
        assert json.loads((place / f"dev_{what}.json").read_text()) == document
    assert len(data.questions) == SIZES[family]["users"]
    assert bool(data.candidates) == (data.task.kind == "text")
    for question in data.questions:
        assert all(bool(item.date) == (data.separation == "time") for item in question.profile)


def test_the_sample_is_small():
    files = [path for path in resource("data/sample/lamp").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 300_000


@pytest.mark.parametrize("number", TASKS)
def test_the_profile_never_contains_the_query(number, tmp_path):
    write_planted(tmp_path, number, users=12, items=20, questions=2)
    data = load_lamp(f"lamp/{number}", data_dir=tmp_path)
    for question in data.questions:
        query = data.task.query(question.text).lower()
        for item in question.profile:
            assert data.task.document(item.fields).lower() not in query
            assert query not in data.task.document(item.fields).lower()
            if data.task.kind == "text":
                assert data.golds[question.question_id] != item.fields[data.task.answer]
    pairs = lamp_pairs(data)
    train = {pair.chosen_text for pair in pairs if pair.split == "train"}
    if data.task.kind in ("text", "reference"):
        assert not train & {pair.chosen_text for pair in pairs if pair.split == "test"}


@pytest.mark.parametrize("number", TASKS)
def test_pairs_are_what_the_user_did_over_something_else(number, tmp_path):
    write_planted(tmp_path, number, users=6, items=5)
    data = load_lamp(f"lamp/{number}", data_dir=tmp_path)
    pairs = lamp_pairs(data)
    assert pairs == lamp_pairs(data)
    assert len({pair.pair_id for pair in pairs}) == len(pairs) == 6 * 6
    own = {question.user_id: question for question in data.questions}
    for pair in pairs:
        question, answers = (
            own[pair.user_id],
            [it.fields[data.task.answer] for it in own[pair.user_id].profile],
        )
        if pair.split == "train":
            assert pair.chosen_text in answers
            assert pair.metadata["retrieved_by"] in [data.task.document(it.fields) for it in question.profile]
        else:
            assert pair.metadata["retrieved_by"] == data.task.query(question.text)
            gold = data.golds[question.question_id]
            if data.task.kind == "reference":
                gold = data.task.references(question.text)[data.task.labels.index(gold)]
            assert pair.chosen_text == gold


def test_time_based_profiles_are_in_order_and_hold_what_all_questions_of_the_user_know(tmp_path):
    made = documents(3, separation="time", users=2, items=8, questions=3)
    for row in made["questions"]:
        row["profile"].reverse()
    sizes = [len(row["profile"]) for row in made["questions"][:3]]
    assert sizes[0] < sizes[2]
    data = load_lamp("lamp-time/3", data_dir=written(tmp_path, made, 3, "time"))
    for question in data.questions:
        dates = [item.date for item in question.profile]
        assert dates == sorted(dates)
        assert len(dates) == sizes[0]


def test_files_are_found_where_people_put_them(tmp_path, monkeypatch):
    made = documents()
    monkeypatch.setenv("SYNTHESIZEME_DATA_DIR", str(written(tmp_path / "a", made)))
    assert len(load_lamp("lamp/4").questions) == 4
    bare = tmp_path / "b" / "LaMP_4" / "dev"
    bare.mkdir(parents=True)
    for what in ("questions", "outputs"):
        (bare / f"dev_{what}.json").write_text(json.dumps(made[what]))
    data = load_lamp("lamp/4", data_dir=tmp_path / "b")
    assert not data.candidates
    assert not data.invented
    with pytest.raises(DataError, match=r"LaMP_4 \(time-based\) was not found in .*Cure: put its files"):
        load_lamp("lamp-time/4", data_dir=tmp_path / "b")
    with pytest.raises(DataError, match="direct-bm25"):
        data.choices(data.questions[0])
    two = data.with_candidates(lambda question: ["one", f"about {question.question_id}"])
    assert two.choices(two.questions[1]) == ("one", f"about {two.questions[1].question_id}")
    with pytest.raises(DataError, match="4 questions got fewer than two"):
        data.with_candidates(lambda question: ["one", "one"])


def changed(made, change):
    change(made)
    return made


def drop(what, key):
    return lambda made: (
        made["questions"][0]["profile"][1].pop(key) if what == "item" else made["questions"][0].pop(key)
    )


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (drop("item", "title"), r"1: field 'profile\[1\].title': found None; expected text: an item of LaMP_4 has text, title"),
        (lambda made: made["questions"][1]["profile"][0].update(text="  "), r":2: field 'profile\[0\].text'"),
        (drop("row", "profile"), "field 'profile': the field is missing"),
        (lambda made: made["questions"][0].update(profile="x"), r"which may be empty.*write \[\]"),
        (lambda made: made["questions"][0].update(profile=["x"]), r"profile\[0\].*expected an object with id, text, title"),
        (lambda made: made["questions"][0].update(input=" "), "field 'input'"),
        (lambda made: made["questions"][0].update(id=made["questions"][1]["id"]), "share an id"),
        (lambda made: made["questions"][0]["profile"][0].update(id=made["questions"][0]["profile"][1]["id"]), "two items have the id"),
        (lambda made: made["outputs"].update(task="LaMP_5"), "is of task 'LaMP_5'; expected 'LaMP_4'"),
        (lambda made: made["outputs"]["golds"].pop(), "1 questions have no entry"),
        (lambda made: made["outputs"]["golds"][0].update(id="zz"), "1 questions have no entry.*1 entries belong to no question, e.g. 'zz'"),
        (lambda made: made["outputs"]["golds"][0].update(output=None), "field 'output'.*expected an answer"),
        (lambda made: made["outputs"].update(golds={}), "field 'golds'"),
        (lambda made: made["candidates"]["candidates"][0].update(outputs=["a", "a"]), "two or more different texts"),
        (lambda made: made["candidates"]["candidates"][0].update(outputs="a"), "expected a list of two or more"),
        (lambda made: made.update(outputs=[1]), "one JSON object"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_with_place_and_cure(change, match, tmp_path):
    with pytest.raises(DataError, match=match) as found:
        load_lamp("lamp/4", data_dir=written(tmp_path, changed(documents(), change)))
    assert found.value.cure
    assert "LaMP_4" in str(found.value)


def test_the_test_split_without_outputs_says_so(tmp_path):
    place = written(tmp_path, documents()) / "lamp" / "user" / "LaMP_4"
    (place / "test_questions.json").write_text((place / "dev_questions.json").read_text())
    with pytest.raises(DataError, match="use the dev split"):
        load_lamp("lamp/4", split="test", data_dir=tmp_path)


def test_task_1_needs_its_two_references(tmp_path):
    made = documents(1)
    made["questions"][0]["input"] = "Which reference?"
    with pytest.raises(DataError, match=r"does not end with the two references.*file of task 1"):
        load_lamp("lamp/1", data_dir=written(tmp_path, made, 1))


def test_an_empty_profile_is_allowed(tmp_path):
    made = documents()
    made["questions"][0]["profile"] = []
    data = load_lamp("lamp/4", data_dir=written(tmp_path, made))
    assert data.questions[0].profile == ()
    assert len([pair for pair in lamp_pairs(data) if pair.user_id == "author-00"]) == 1


def test_scores_may_be_numbers_and_users_unnamed(tmp_path):
    made = documents(3)
    for row, gold in zip(made["questions"], made["outputs"]["golds"], strict=True):
        del row["user_id"]
        row["id"], gold["id"] = int(row["id"]), int(gold["id"])
        gold["output"] = int(gold["output"])
        for item in row["profile"]:
            item["score"] = int(item["score"])
    data = load_lamp("lamp/3", data_dir=written(tmp_path, made, 3))
    assert {question.user_id for question in data.questions} == {
        question.question_id for question in data.questions
    }
    assert set(data.golds.values()) <= set(data.task.labels)


def test_it_is_a_data_set_that_converts(tmp_path):
    place = written(tmp_path, documents()) / "lamp" / "user" / "LaMP_4"
    pairs = load_dataset("lamp", data_dir=place)
    assert [pair.split for pair in pairs].count("test") == 4
    (place / "other.json").write_text("[]")
    with pytest.raises(DataError, match=r"_questions\.json"):
        read_pairs(place / "other.json", format="lamp")
