import csv
from datetime import UTC, datetime

import pytest

from synthesizeme.datasets import ReadReport, convert, load_dataset, load_words, read_pairs, remesh, resplit
from synthesizeme.errors import DataError
from synthesizeme.feedback import LONGEST_TEXT

LIKE, WHY, STORY = "What do you like about parks?", "Why do parks matter?", "Branch A - When were you in one?"
PREAMBLE = [["Name", "Parks"], ["Title", "City parks"], ["Participants", "3"], ["", ""]]
TEXTS = [
    ("t1", LIKE, "p1", "The old trees. "), ("t2", LIKE, "p2", "Room to run."), ("t3", LIKE, "p3", "The ponds."),
    ("t4", WHY, "p1", "They cool the city."), ("t5", WHY, "p2", "Children need them."), ("t6", LIKE, "p4", "The ponds."),
    ("t7", LIKE, "p4", " "),
]  # fmt: skip
VOTES = [
    ("q1", "p9", "t1", "t2", "I agree with both", "3:44"), ("q1", "p2", "t1", "t3", "Thought A", "3:45"),
    ("q1", "p1", "t2", "t3", "Thought B", "3:47"), ("q1", "p1", "t3", "t2", "Thought A", "3:48"),
    ("q1", "p1", "t1", "t2", "Thought A", "3:48"), ("q1", "p2", "t3", "t6", "Thought A", "3:48"),
    ("q1", "p2", "t3", "t7", "Thought A", "3:48"), ("q1", "p3", "t1", "t2", "Thought B", "3:49"),
    ("q2", "p3", "t4", "t5", "Thought A", "3:46"),
]  # fmt: skip


def write(path, rows):
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows(rows)


@pytest.fixture
def public(tmp_path):
    """A small invented dialogue in the layout of the public tables."""
    folder = tmp_path / "polarized-issues-data" / "City parks"
    folder.mkdir(parents=True)
    questions = {question: f"q{number}" for number, question in enumerate((LIKE, WHY), start=1)}
    write(folder / "parks_verbatim_map.csv", [
        *PREAMBLE, ["Question ID", "Question Text", "Participant ID", "Thought ID", "Thought Text"],
        *([questions[question], question, author, name, text] for name, question, author, text in TEXTS),
    ])  # fmt: skip
    write(folder / "parks_preference.csv", [
        *PREAMBLE, ["Question ID", "Participant ID", "Thought A ID", "Thought B ID", "Vote", "Timestamp"],
        *([*vote, f"June 25, 2024 at {time} PM (GMT)"] for *vote, time in VOTES),
    ])  # fmt: skip
    write(folder / "parks_participants.csv", [
        *PREAMBLE, ["", "", "Participant Id", "Sample Provider Id", "What is your age?", "Pets? - Cat ", LIKE,
                    "Sentiment", "All (%agree)", STORY, "Sentiment", "Branch A - Yes (%agree)", WHY, "Sentiment",
                    "All (%agree)", "Muted"],
        ["", "", "p1", "", "30-39", "Cat ", "The old trees. ", "Neutral", "50%", "--", "--", "--",
         "They cool the city.", "Positive", "61%", "False"],
        ["", "", "p3", "", "60+", "--", "The ponds.", "Positive", "50%", "Last May.", "Neutral", "39%", "--",
         "--", "--", "False"],
        ["", "", "p2", "", "--", "--", "--", "--", "--", "--", "--", "--", "--", "--", "--", "False"],
    ])  # fmt: skip
    (folder / "parks_aggregate.csv").write_text('"Name","Parks"\n"Title","City parks"\n')
    return folder.parent


@pytest.fixture(scope="module")
def pairs(shared_data):
    """Those of the shared file, 11,816 of them."""
    return read_pairs(shared_data, format="remesh").pairs


@pytest.fixture(scope="module")
def words(shared_data):
    return load_words("remesh", data_dir=shared_data)


def at(minute):
    return datetime(2024, 6, 25, 15, minute, tzinfo=UTC)


def test_the_public_tables_give_pairs_in_time_order_numbered_as_they_stand(public):
    report = ReadReport()
    pairs = list(remesh.FORMAT.read(public, report))
    assert [(it.pair_id, it.user_id, it.chosen_text, it.rejected_text, it.created_at) for it in pairs] == [
        ("remesh-0", "remesh_parks_0", "The old trees.", "The ponds.", at(45)),
        ("remesh-1", "remesh_parks_1", "The ponds.", "Room to run.", at(47)),
        ("remesh-3", "remesh_parks_2", "They cool the city.", "Children need them.", at(46)),
        ("remesh-2", "remesh_parks_2", "Room to run.", "The old trees.", at(49)),
    ]
    assert [it.prompt[0].content for it in pairs] == [LIKE, LIKE, WHY, LIKE]
    assert [it.split for it in pairs] == ["train", "train", "train", "validation"]
    assert pairs[1].metadata == {"topic": "parks", "shown_first": "rejected"}
    assert report.reasons == {
        "neither is preferred: I agree with both": 1,
        "second choice between the same two texts by the same participant": 1,
        "a text is the participant's own": 1,
        "both responses are the same text": 1,
        "a response is blank": 1,
    }


def test_public_words_count_from_the_first_choice_on_their_question_or_the_next(public):
    words = remesh.FORMAT.words(public)
    first, third = words["remesh_parks_1"], words["remesh_parks_2"]
    assert words.keys() == {"remesh_parks_1", "remesh_parks_2"}  # the second ticked and wrote nothing
    assert [(it.question, it.text, it.answered_at) for it in first.answers] == [
        (LIKE, "The old trees.", at(47)),
        (WHY, "They cool the city.", at(47)),  # no choice on it: the last choice
    ]
    assert first.demographics == {"What is your age?": "30-39", "Pets? - Cat": "Cat"}
    assert [(it.question, it.answered_at) for it in third.answers] == [
        (LIKE, at(49)),
        ("When were you in one?", at(49)),  # no later question was chosen on: the last choice
    ]


def test_an_answer_is_not_read_before_its_user_has_reached_the_question(pairs, words):
    reached = asked = 0
    for pair in pairs:
        own = words[pair.user_id]
        on_question = [it.text for it in own.answers if it.question == pair.prompt[0].content]
        texts = own.texts(pair.created_at)
        asked += bool(on_question)
        reached += bool(on_question) and on_question[0] in texts
        late = [it.text for it in own.answers if it.answered_at > pair.created_at]
        assert len(texts) == len(own.answers) - len(late)
    assert reached == asked > 11_000
    first = pairs[0]
    assert 0 < len(words[first.user_id].texts(first.created_at)) < len(words[first.user_id].texts())


def test_the_shared_pairs_and_words(shared_data, pairs, words):
    assert tuple(load_dataset("remesh", data_dir=shared_data)) == pairs
    assert load_words("remesh", data_dir=shared_data) == words
    assert (len(pairs), len(words)) == (11_816, 670)
    assert {pair.user_id for pair in pairs} == words.keys()
    assert all(len(it.text) < LONGEST_TEXT for said in words.values() for it in said.answers)
    assert all(said.answers and said.demographics for said in words.values())
    assert not any("agree" in name for said in words.values() for name in said.demographics)
    assert not any(it.question.startswith("Branch") for said in words.values() for it in said.answers)


def test_the_given_split_is_in_time_order_and_a_random_one_can_be_drawn(pairs):
    order = {"train": 0, "validation": 1, "test": 2}
    latest = {}
    for pair in pairs:
        rank = order[pair.split], pair.created_at
        assert latest.get(pair.user_id, rank) <= rank
        latest[pair.user_id] = rank
    drawn = resplit(pairs, seed=1)
    assert sum(pair.split == "test" for pair in drawn) / len(drawn) == pytest.approx(0.2, abs=0.02)
    assert drawn != resplit(drawn, seed=2)


def test_their_own_text_stands_in_a_pair_only_where_another_wrote_the_same_few_words(pairs, words):
    own = {user: {it.text for it in said.answers} for user, said in words.items()}
    found = [{it.chosen_text, it.rejected_text} & own[it.user_id] for it in pairs]
    assert max(len(text.split()) for texts in found for text in texts) == 2
    assert sum(map(bool, found)) == 6


def test_is_recognised_in_a_folder_and_read_from_one_table(public, tmp_path):
    report = convert(public, tmp_path / "out.jsonl")
    assert (report.format, report.pairs_written) == ("remesh", 4)
    table = public / "City parks" / "parks_preference.csv"
    assert (
        read_pairs(table, format="remesh").pairs
        == read_pairs(public, format="remesh").pairs
        == tuple(load_dataset("remesh", data_dir=tmp_path))
    )


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (["q1", "p1", "t1", "t99", "Thought A", "June 25, 2024 at 3:50 PM (GMT)"], "Thought B ID"),
        (["q1", "p1", "t2", "t3", "Thought A", "yesterday"], "Timestamp"),
        (["q1", "p1", "t2", "t3", "", "June 25, 2024 at 3:50 PM (GMT)"], "Vote"),
    ],
)
def test_malformed_votes(public, row, field):
    table = public / "City parks" / "parks_preference.csv"
    with table.open("a", newline="") as stream:
        csv.writer(stream).writerow(row)
    with pytest.raises(DataError, match=r"parks_preference.csv:15: ") as caught:
        read_pairs(public, format="remesh")
    assert caught.value.field == field
    assert len(read_pairs(public, skip_bad_rows=True, format="remesh").pairs) == 4


def test_what_is_not_there_is_named(public, tmp_path, pair_row, write_lines):
    (public / "City parks" / "parks_verbatim_map.csv").unlink()
    with pytest.raises(DataError, match=r"parks_verbatim_map.csv: there is no such file"):
        read_pairs(public, format="remesh")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match=r"holds no \*_preference.csv.*polarized-issues-data"):
        read_pairs(empty, format="remesh")
    path = write_lines(pair_row(), name="remesh.jsonl")
    assert len(read_pairs(path, format="remesh").pairs) == 1
    with pytest.raises(DataError, match=r"no words of its users.*remesh_users.jsonl.gz"):
        remesh.FORMAT.words(path)


def test_a_data_set_without_words_has_none(shared_data):
    assert load_words("polis", data_dir=shared_data) == {}
