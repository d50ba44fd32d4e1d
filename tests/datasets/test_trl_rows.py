import pytest

from synthesizeme.datasets import ReadReport, read_pairs, trl_rows
from synthesizeme.errors import DataError

HI = {"role": "user", "content": "Hi"}
YES = {"role": "assistant", "content": "Yes?"}
NO = {"role": "assistant", "content": "No."}
SHAPES = {
    "conversational": {"prompt": [HI], "chosen": [YES], "rejected": [NO]},
    "conversational, prompt in both": {"chosen": [HI, YES], "rejected": [HI, NO]},
    "string prompt, conversations": {"prompt": "Hi", "chosen": [HI, YES], "rejected": [HI, NO]},
    "strings": {"prompt": "Hi", "chosen": "Yes?", "rejected": "No."},
    "transcripts": {
        "chosen": "\n\nHuman: Hi\n\nAssistant: Yes?",
        "rejected": "\n\nHuman: Hi\n\nAssistant: No.",
    },
    "from and value": {
        "prompt": [{"from": "human", "value": "Hi"}],
        "chosen": {"from": "gpt", "value": "Yes?"},
        "rejected": {"from": "gpt", "value": "No."},
    },
    "with empty columns": {
        "prompt": [HI],
        "chosen": [YES],
        "rejected": [NO],
        "pair_id": None,
        "metadata": None,
    },
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_the_same_pair(shape, write_lines):
    pair = read_pairs(write_lines(SHAPES[shape]), user_id="me", format="trl-rows").pairs[0]
    assert [message.model_dump() for message in (*pair.prompt, *pair.chosen, *pair.rejected)] == [HI, YES, NO]
    assert pair.user_id == "me"


def test_rows_that_name_their_user_keep_it_and_everything_else(write_lines):
    row = {
        **SHAPES["strings"],
        "user_id": 12,
        "split": "val",
        "score_chosen": 8.5,
        "metadata": {"a": 1},
        "pair_id": "x",
    }
    pair = read_pairs(write_lines(row), user_id="me", format="trl-rows").pairs[0]
    assert (pair.user_id, pair.split, pair.pair_id) == ("12", "validation", "x")
    assert pair.metadata == {"score_chosen": 8.5, "a": 1}


def test_without_a_user_there_is_a_cure(write_lines):
    with pytest.raises(DataError, match=r":1: field 'user_id'.*--user"):
        read_pairs(write_lines(SHAPES["strings"]), format="trl-rows")


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"chosen": "a", "rejected": "b"}, "prompt"),
        ({"prompt": "Hi", "chosen": "a", "rejected": None}, "rejected"),
        ({"prompt": "Hi", "chosen": [YES, YES], "rejected": [NO]}, "chosen"),
        ({"prompt": "Hi", "chosen": {"role": "assistant", "content": ["parts"]}, "rejected": "b"}, "chosen"),
    ],
)
def test_malformed_rows(row, field, write_lines):
    path = write_lines(row, SHAPES["strings"])
    with pytest.raises(DataError, match=rf":1: field '{field}'"):
        read_pairs(path, user_id="me", format="trl-rows")
    assert len(read_pairs(path, user_id="me", skip_bad_rows=True, format="trl-rows").pairs) == 1


def test_conversations_that_do_not_meet_make_no_pair(write_lines):
    report = ReadReport(user_id="me")
    rows = [
        {"chosen": [HI, YES], "rejected": [{**HI, "content": "Ho"}, NO]},
        {"chosen": [HI, YES], "rejected": [HI, YES]},
        {"prompt": "Hi", "chosen": "a", "rejected": "a "},
    ]
    assert list(trl_rows.FORMAT.read(write_lines(*rows), report)) == []
    assert report.reasons == {
        "the two conversations have no differing responses to a common prompt": 2,
        "both responses are the same text": 1,
    }
