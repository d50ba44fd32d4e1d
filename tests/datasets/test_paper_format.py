import pytest

from synthesizeme.datasets import ReadReport, convert, paper_format, read_pairs
from synthesizeme.errors import DataError

ASK = {"role": "user", "content": "Is it ok?"}
YES = {"role": "model", "content": "Yes."}
NO = {"role": "model", "content": "No."}


def row(**changes):
    return {
        "user_id": "u1",
        "conversation_id": "c1",
        "context": [ASK],
        "chosen": YES,
        "rejected": NO,
        **changes,
    }


def test_roles_splits_and_ids(write_lines):
    longer = [ASK, YES, {"role": "user", "content": "Sure?"}]
    path = write_lines(
        row(split="val", flip=True, chosen_score=80, prediction_x="First", user_profile={"age": "25-34"}),
        row(split="test", chosen=NO, rejected=YES),
        row(split="dev", context=longer),
        row(split=None, conversation_id="c1:0", user_id=7),
    )
    pairs = read_pairs(path, format="paper-format").pairs
    assert [pair.pair_id for pair in pairs] == ["c1:0:0", "c1:0:1", "c1:1:0", "c1:0:0:0"]
    assert [pair.split for pair in pairs] == ["validation", "test", "validation", None]
    assert [message.role for message in pairs[2].prompt] == ["user", "assistant", "user"]
    assert (pairs[0].chosen_text, pairs[0].rejected_text, pairs[3].user_id) == ("Yes.", "No.", "7")
    assert pairs[0].metadata == {
        "conversation_id": "c1", "flip": True, "chosen_score": 80, "user_profile": {"age": "25-34"},
    }  # fmt: skip


@pytest.mark.parametrize("shape", [lambda turn: turn, lambda turn: [turn], lambda turn: turn["content"]])
def test_responses_in_any_shape(shape, write_lines):
    pair = read_pairs(write_lines(row(chosen=shape(YES), rejected=shape(NO))), format="paper-format").pairs[0]
    assert (pair.chosen_text, pair.rejected_text, pair.chosen[0].role) == ("Yes.", "No.", "assistant")


def test_rows_that_make_no_pair_are_counted_not_fatal(write_lines):
    path = write_lines(
        row(rejected={**YES, "content": "Yes. "}),
        row(rejected={**NO, "content": " "}),
        row(context=[ASK, YES]),
        row(context=[{**ASK, "content": ""}]),
        row(),
    )
    report = ReadReport()
    assert len(list(paper_format.FORMAT.read(path, report))) == 1
    assert [(item.line, item.reason) for item in report.left_out] == [
        (1, "both responses are the same text"),
        (2, "a response is blank"),
        (3, "the conversation does not end with a user turn"),
        (4, "a turn of the conversation is blank"),
    ]


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (row(chosen=None), "chosen"),
        (row(chosen=7), "chosen"),
        (row(context=[{"role": "user"}]), "context|prompt"),
        (row(context=[{"role": "robot", "content": "Hi"}, ASK]), r"prompt\[0\].role"),
        (row(user_id=None), "user_id"),
        (row(split="holdout"), "split"),
    ],
)
def test_malformed_rows_raise_or_are_listed(bad, field, write_lines):
    path = write_lines(row(), bad)
    with pytest.raises(DataError, match=rf"pairs.jsonl:2: field '({field})'"):
        read_pairs(path, format="paper-format")
    assert len(read_pairs(path, skip_bad_rows=True, format="paper-format").pairs) == 1


def test_rows_without_conversation_get_derived_ids(write_lines):
    changed = row(rejected={**NO, "content": "Never."})
    pairs = read_pairs(
        write_lines({**row(), "conversation_id": None}, {**changed, "conversation_id": None}),
        format="paper-format",
    ).pairs
    assert len({pair.pair_id for pair in pairs}) == 2


def test_the_prism_fragment_converts_without_a_hand_edit(shared_data, tmp_path):
    report = convert(shared_data / "prism_fragment.jsonl", tmp_path / "out.jsonl")
    assert (report.format, report.rows_read, report.pairs_written) == ("paper-format", 84, 84)
    assert report.reasons == {}
    pairs = read_pairs(tmp_path / "out.jsonl").pairs
    assert len({pair.user_id for pair in pairs}) == 18
    assert {message.role for pair in pairs for message in pair.prompt} == {"user", "assistant"}
    assert read_pairs(shared_data / "prism_fragment.jsonl").pairs == pairs
