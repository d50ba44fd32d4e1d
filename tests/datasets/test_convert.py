import csv
import json

import pyarrow
import pyarrow.parquet
import pytest

from synthesizeme.datasets import convert, formats, load_dataset, read_pairs
from synthesizeme.errors import DataError, UnknownNameError


@pytest.fixture
def out(tmp_path):
    return tmp_path / "written" / "out.jsonl"


def test_rows_already_in_our_format_are_kept_as_they_are(pair_row, write_lines, out):
    path = write_lines(pair_row(1, metadata={"a": 1}), pair_row(2, split="test"))
    report = convert(path, out)
    assert (report.format, report.rows_read, report.pairs_written, report.reasons) == ("jsonl", 2, 2, {})
    assert read_pairs(out).pairs == read_pairs(path).pairs


@pytest.mark.parametrize("container", ["list.json", "lines.json", "table.parquet", "table.csv", "list.jsonl"])
def test_every_container_gives_the_same_pairs(container, pair_row, write_lines, tmp_path, out):
    rows = [pair_row(number, split="train") for number in range(3)]
    path = tmp_path / container
    if container.startswith("list"):
        path.write_text(json.dumps(rows, indent=1))
    elif container == "lines.json":
        write_lines(*rows, name=container)
    elif container.endswith("parquet"):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, rows[0])
            writer.writeheader()
            writer.writerows(
                {key: json.dumps(row[key]) if isinstance(row[key], list) else row[key] for key in row}
                for row in rows
            )
    assert convert(path, out).rows_read == 3
    assert read_pairs(out).pairs == read_pairs(write_lines(*rows, name="expected.jsonl")).pairs


def test_a_folder_is_read_by_split(pair_row, write_lines, tmp_path, out):
    folder = tmp_path / "data"
    folder.mkdir()
    for name, number in (
        ("train-00000-of-00002", 1),
        ("train-00001-of-00002", 2),
        ("test-00000-of-00001", 3),
    ):
        write_lines(pair_row(number), name=f"data/{name}.jsonl")
    assert convert(folder, out).pairs_written == 3
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no rows"):
        convert(tmp_path / "empty", out)


def test_user_id_names_the_owner_of_rows_without(write_lines, out):
    path = write_lines({"prompt": "Hi", "chosen": "a", "rejected": "b"})
    with pytest.raises(DataError, match="--user"):
        convert(path, out)
    assert not out.exists()
    assert convert(path, out, user_id="me").format == "trl-rows"
    assert read_pairs(out).pairs[0].user_id == "me"


def test_what_is_left_out_is_counted_and_listed(write_lines, out):
    good = {"user_id": "u", "prompt": "Hi", "chosen": "a", "rejected": "b"}
    path = write_lines(
        good, {**good, "rejected": "a"}, {**good, "chosen": 7}, "not json", {**good, "rejected": "c"}
    )
    with pytest.raises(DataError, match=r":3: field 'chosen'"):
        convert(path, out)
    assert not out.exists()
    report = convert(path, out, skip_bad_rows=True)
    assert (report.rows_read, report.pairs_written) == (5, 2)
    assert report.reasons == {"malformed row": 2, "both responses are the same text": 1}
    assert [str(item) for item in report.left_out] == [f"{path}:2: both responses are the same text"]
    assert [error.line for error in report.skipped] == [3, 4]


def test_nothing_left_is_an_error_and_no_file(write_lines, out):
    path = write_lines({"user_id": "u", "prompt": "Hi", "chosen": "a", "rejected": "a"})
    with pytest.raises(
        DataError, match=r"none of the 1 rows makes a pair \(1 x both responses are the same text\)"
    ):
        convert(path, out)
    assert not out.exists()


def test_unknown_formats(write_lines, out):
    path = write_lines({"question": "?"})
    with pytest.raises(DataError, match=r"the first row has the fields .*question.*--format"):
        convert(path, out)
    with pytest.raises(UnknownNameError, match="paper-format"):
        convert(path, out, format="paper")
    with pytest.raises(DataError, match="no such file"):
        convert(path.with_name("absent.csv"), out)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("bad.csv", b'user_id,prompt\n"a,b\n', "not CSV"),
        ("long.csv", b"user_id\n" + b"x" * 10_000_001 + b"\n", "longer than 10,000,000 bytes"),
        ("latin.csv", b"user_id\ncaf\xe9\n", "not UTF-8"),
        ("bad.parquet", b"PAR1 no", "Parquet"),
        ("bad.json", b'[{"a": 1},', "not JSON"),
        ("broken.json", b'[{"a": 1},\n {"a" 2}]', r"broken\.json:2: not JSON: .* at column 7\."),
        ("README.md", b"# Title\n\nText\n", r"README\.md:1: not JSON: Expecting value at column 1\."),
        ("mixed.json", b"[1, 2]", "found a number; expected an object as each item"),
        ("empty.json", b"[]", "holds no rows"),
        ("empty.csv", b"a,b\n", "holds no rows"),
        ("blank.jsonl", b"\n \n", "holds no rows"),
    ],
)
def test_containers_that_cannot_be_read(name, content, found, tmp_path, out):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=found):
        convert(path, out, skip_bad_rows=True)


@pytest.mark.parametrize(("user", "assistant"), [("human", "gpt"), ("user", "model"), ("User", "Bot")])
def test_foreign_roles_under_our_own_field_names_are_mapped(user, assistant, pair_row, write_lines, out):
    names = {"user": user, "assistant": assistant}
    row = pair_row()
    foreign = {
        field: [{**turn, "role": names[turn["role"]]} for turn in row[field]]
        for field in ("prompt", "chosen", "rejected")
    }
    report = convert(write_lines({**row, **foreign}), out)
    assert report.format == "trl-rows"
    assert read_pairs(out).pairs == read_pairs(write_lines(row, name="expected.jsonl")).pairs


def test_the_cure_of_a_foreign_row_further_down_works(pair_row, write_lines, out):
    ends_wrongly = {**pair_row(2), "prompt": pair_row(2)["prompt"] + pair_row(2)["chosen"]}
    says_model = {**pair_row(3), "chosen": [{"role": "model", "content": "Six feet."}]}
    for bad, written, reasons in (
        (ends_wrongly, ["p1"], {"the conversation does not end with a user turn": 1}),
        (says_model, ["p1", "p3"], {}),
    ):
        path = write_lines(pair_row(1), bad)
        with pytest.raises(DataError) as caught:
            convert(path, out)
        assert f"data convert {path} --out OUT.jsonl --format trl-rows`" in caught.value.cure
        assert convert(path, out, format="trl-rows", overwrite=True).reasons == reasons
        assert [pair.pair_id for pair in read_pairs(out).pairs] == written


def test_a_prompt_that_ends_with_the_assistant_has_a_cure_other_than_convert(pair_row, write_lines, out):
    path = write_lines({**pair_row(), "prompt": pair_row()["prompt"] + pair_row()["chosen"]})
    with pytest.raises(DataError, match="1 x the conversation does not end with a user turn") as caught:
        convert(path, out)
    assert "a prompt that ends with the user's turn" in caught.value.cure
    assert "data convert" not in str(caught.value)


def test_no_two_formats_recognise_one_row(pair_row):
    turns = pair_row()["prompt"]
    rows = {
        "jsonl": pair_row(),
        "trl-rows": {"prompt": "Hi", "chosen": "a", "rejected": "b"},
        "paper-format": {"user_id": "u", "context": turns, "chosen": {}, "rejected": {}},
        "prism": {"user_id": "u", "conversation_id": "c", "conversation_history": []},
        "chatbot-arena": {"winner": "tie", "conversation_a": turns, "conversation_b": turns, "judge": "j"},
        "llmfao": dict.fromkeys(
            ["id", "prompt", "model_x", "model_y", "worker", "winner", "left", "right"], "1"
        ),
    }
    for expected, row in rows.items():
        assert [name for name, known in formats().items() if known.recognises(row)] == [expected]
    assert not any(known.recognises({}) for known in formats().values())


def test_a_data_set_that_is_made_here_is_written_by_its_name(tmp_path):
    report = convert("synthetic", tmp_path / "made.jsonl")
    pairs = read_pairs(tmp_path / "made.jsonl").pairs
    expected = load_dataset("synthetic")
    assert [it.model_dump_json() for it in pairs] == [it.model_dump_json() for it in expected]
    assert (report.format, report.rows_read, report.pairs_written) == ("synthetic", len(pairs), len(pairs))
