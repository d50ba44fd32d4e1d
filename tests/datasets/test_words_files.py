"""Files of what users said: every container, every fault named by its place, long texts cut and said."""

from __future__ import annotations

import csv
import gzip
import json
import logging

import pytest

from synthesizeme.datasets import read_words
from synthesizeme.errors import DataError
from synthesizeme.feedback import LONGEST_TEXT, OwnAnswer, UserWords

ADA = {"user_id": "ada", "about": "I am a nurse.", "wishes": ["Be brief."]}
FULL = {
    **ADA,
    "answers": [{"question": "Why?", "text": "Потому что.", "answered_at": "2024-06-25T12:00:00Z"}],
    "demographics": {"age": 41, "member": True, "height": 1.7, "gone": None, "city": "Łódź"},
}


def test_documents_of_every_container_say_the_same(tmp_path, write_lines):
    bo = {"user_id": "bo", "about": "我喜欢简短的回答。"}
    listed = tmp_path / "words.json"
    listed.write_text(json.dumps([FULL, bo]), encoding="utf-8")
    table = tmp_path / "words.csv"
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["user_id", "about", "wishes", "answers", "demographics"])
        writer.writerow(
            ["ada", ADA["about"], *(json.dumps(FULL[it]) for it in ("wishes", "answers", "demographics"))]
        )
        writer.writerow(["bo", bo["about"], "", "", ""])
    found = [
        read_words(path).words
        for path in (
            write_lines(FULL, bo, name="w.jsonl"),
            write_lines(FULL, bo, name="w.jsonl.gz"),
            listed,
            table,
        )
    ]
    assert found[0] == found[1] == found[2] == found[3]
    ada, second = found[0].values()
    assert ada.demographics == {"age": "41", "member": "True", "height": "1.7", "city": "Łódź"}
    assert ada.answers[0].answered_at.year == 2024
    assert second == UserWords(**bo)


def test_answers_may_stand_by_question(write_lines):
    row = {
        "user_id": "ada",
        "own_answers": {"Why?": "Because.", "Who?": "Me."},
        "demographics": {"age": "30-39"},
    }
    assert read_words(write_lines(row)).words["ada"] == UserWords(
        user_id="ada",
        answers=(OwnAnswer(question="Why?", text="Because."), OwnAnswer(question="Who?", text="Me.")),
        demographics={"age": "30-39"},
    )


@pytest.mark.parametrize("name", ["ada.md", "ada.txt", "ada.markdown"])
def test_a_text_is_what_the_user_in_its_name_says(tmp_path, name):
    path = tmp_path / name
    path.write_bytes("\ufeff# Me\n\nI am a nurse 🙂\n".encode())
    assert read_words(path).words == {"ada": UserWords(user_id="ada", about="# Me\n\nI am a nurse 🙂\n")}
    assert list(read_words(path, user_id="bo").words) == ["bo"]


def test_documents_that_name_nobody_are_of_the_user_that_is_given(write_lines):
    path = write_lines({"about": "I am a nurse."})
    assert list(read_words(path, user_id="ada").words) == ["ada"]
    with pytest.raises(DataError, match=r"pairs.jsonl:1: field 'user_id': names no user"):
        read_words(path)


def test_long_texts_are_cut_and_every_cut_is_said(tmp_path, write_lines):
    row = {
        "user_id": "ada", "about": "x" * 1_000_000, "wishes": ["short", "y" * 20_001],
        "own_answers": {"Q": "z" * 30_000},
    }  # fmt: skip
    file = read_words(write_lines(row))
    assert [(it.user_id, it.field, it.characters) for it in file.cut] == [
        ("ada", "about", 1_000_000), ("ada", "wishes[1]", 20_001), ("ada", "answers[0].text", 30_000),
    ]  # fmt: skip
    assert {len(text) for text in file.words["ada"].texts()} == {LONGEST_TEXT, 5}
    (tmp_path / "bo.md").write_text("w" * 1_048_576)
    assert [(it.user_id, it.characters) for it in read_words(tmp_path / "bo.md").cut] == [("bo", 1_048_576)]
    (tmp_path / "bo.md").write_text("w" * LONGEST_TEXT)
    assert read_words(tmp_path / "bo.md").cut == ()


@pytest.mark.parametrize(
    ("row", "field", "said"),
    [
        (
            {**ADA, "abuot": "x"},
            "abuot",
            "expected user_id, answers, about, wishes, demographics, own_answers",
        ),
        ({"about": "x"}, "user_id", "names no user"),
        ({"user_id": 7, "about": "x"}, "user_id", "expected text"),
        ({"user_id": "", "about": "x"}, "user_id", "expected text that is not empty|is empty"),
        ({"user_id": "ada"}, "user_id", "says nothing"),
        ({"user_id": "ada", "about": None, "wishes": [], "demographics": {}}, "user_id", "says nothing"),
        ({**ADA, "about": "  "}, "about", "is blank; expected text"),
        ({**ADA, "about": ["x"]}, "about", "expected text"),
        ({**ADA, "wishes": "Be brief."}, "wishes", "found 'Be brief.'; expected a list"),
        ({**ADA, "wishes": ["ok", " "]}, "wishes[1]", "is blank"),
        ({**ADA, "answers": [{"text": "x"}]}, "answers[0].question", "question and text"),
        (
            {**ADA, "answers": [{"question": "Q", "text": "x", "when": 1}]},
            "answers[0].when",
            "nothing but question",
        ),
        (
            {**ADA, "answers": [{"question": "Q", "text": "x", "answered_at": "noon"}]},
            "answers[0].answered_at",
            "time",
        ),
        ({**ADA, "own_answers": ["x"]}, "own_answers", "expected an object of texts by question"),
        ({**ADA, "own_answers": {"Q": 5}}, "own_answers", "expected an object of texts by question"),
        ({**ADA, "own_answers": {"Q": "x"}, "answers": []}, "own_answers", "stands beside answers"),
        ({**ADA, "demographics": "30-39"}, "demographics", "an object with named values"),
        ({**ADA, "demographics": {"age": [30, 39]}}, "demographics.age", "expected text or a number"),
    ],
)
def test_every_fault_names_its_line_and_field(write_lines, row, field, said):
    path = write_lines({"user_id": "first", "about": "x"}, row)
    with pytest.raises(DataError, match=said) as caught:
        read_words(path)
    assert (caught.value.source, caught.value.line, caught.value.field) == (str(path), 2, field)
    assert caught.value.cure


def test_a_user_has_one_document(write_lines):
    with pytest.raises(DataError, match=r":3: field 'user_id': 'ada' has words on line 1 already"):
        read_words(write_lines(ADA, "", {**ADA, "about": "Other."}))


def test_what_is_no_file_of_words_is_refused(tmp_path, write_lines):
    latin = tmp_path / "ada.txt"
    latin.write_bytes("Grüße".encode("latin1"))
    with pytest.raises(DataError, match="byte 0xfc at byte offset 2 is not UTF-8"):
        read_words(latin)
    with pytest.raises(DataError, match=r"pairs.jsonl:1: byte 0xfc"):
        read_words(write_lines(b'{"user_id": "ada", "about": "Gr' + b'\xfc\xdfe"}'))
    with pytest.raises(DataError, match=r"pairs.jsonl:1: not JSON"):
        read_words(write_lines("{"))
    (tmp_path / "bo.md").write_text(" \n")
    with pytest.raises(DataError, match=r"bo.md:1: field 'about': is blank"):
        read_words(tmp_path / "bo.md")
    with pytest.raises(DataError, match="there is no such file"):
        read_words(tmp_path / "none.jsonl")
    (tmp_path / "cy.md").write_text("")
    with pytest.raises(DataError, match="the file is empty"):
        read_words(tmp_path / "cy.md")
    with pytest.raises(DataError, match="holds no words of anybody"):
        read_words(write_lines("", ""))
    (tmp_path / "huge.md").write_bytes(b"x" * 10_000_001)
    with pytest.raises(DataError, match="larger than 10,000,000 bytes"):
        read_words(tmp_path / "huge.md")
    bomb = tmp_path / "ada.md.gz"
    bomb.write_bytes(gzip.compress(b"x"))
    with pytest.raises(DataError):
        read_words(bomb)


def test_the_shared_users_are_such_a_file(shared_data):
    file = read_words(shared_data / "remesh_users.jsonl.gz")
    assert (len(file.words), file.cut) == (670, ())


def test_no_text_is_logged(write_lines, caplog):
    caplog.set_level(logging.INFO)
    read_words(write_lines({**ADA, "about": "marmalade " * 10_000}))
    assert caplog.text == ""
