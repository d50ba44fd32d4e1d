import csv
import gzip
import json
import shutil
from collections import Counter

import pytest

from synthesizeme.datasets import ReadReport, convert, llmfao, load_feedback, read_pairs
from synthesizeme.errors import DataError


def test_the_raw_files_give_the_published_pairs_row_by_row(shared_data):
    with gzip.open(shared_data / "llmfao.jsonl.gz", "rt", encoding="utf-8") as stream:
        expected = [json.loads(line) for line in stream]
    found = [
        pair.model_dump(mode="json", exclude={"created_at"})
        for pair in read_pairs(shared_data / "llmfao_raw", format="llmfao").pairs
    ]
    assert len(found) == len(expected) == 3298
    assert all(one == two for one, two in zip(found, expected, strict=True))


def test_a_folder_may_hold_either(shared_data, tmp_path):
    published = read_pairs(shared_data, format="llmfao").pairs
    shutil.copytree(shared_data / "llmfao_raw", tmp_path / "llmfao_raw")
    assert read_pairs(tmp_path, format="llmfao").pairs == published
    assert read_pairs(tmp_path / "llmfao_raw" / "crowd-comparisons.csv", format="llmfao").pairs == published


VOTES = [
    ("0", "5", "left"), ("0", "6", "tie"), ("1", "5", "right"), ("2", "5", "left"), ("3", "5", "left"),
    ("4", "5", "right"), ("1", "6", "right"),
]  # fmt: skip
TEXTS = [("a", "b"), ("c", "d"), ("same", "same "), ("", "x"), ("b ", " a")]


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    with gzip.open(folder / "pairs-crowd.jsonl.gz", "wt", encoding="utf-8") as stream:
        for number, (x, y) in enumerate(TEXTS):
            row = {
                "id": number, "prompt": 8, "text": "Say it.", "slug": "say", "result_x": x, "result_y": y,
            }  # fmt: skip
            stream.write(json.dumps(row) + "\n")
    with (folder / "crowd-comparisons.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "prompt", "model_x", "model_y", "worker", "winner", "left", "right"])
        writer.writerows([number, 8, 1, 2, worker, winner, "X", "Y"] for number, worker, winner in VOTES)
    with (folder / "gpt4-crowd-comparisons.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "prompt", "model_x", "model_y", "winner", "left", "right"])
        writer.writerows([[0, 8, 1, 2, "right", "X", "Y"], [1, 8, 1, 2, "tie", "X", "Y"]])
    return folder


def test_the_rule_on_a_few_rows(raw):
    report = ReadReport()
    *pairs, tie = llmfao.FORMAT.read(raw, report)
    assert (tie.feedback_id, tie.user_id, tie.responses) == ("llmfao-tie-00000", "llmfao_w6", ("a", "b"))
    assert tie.metadata["llm_judge"] == {"gpt4": "second"}
    assert [(pair.pair_id, pair.user_id, pair.chosen_text) for pair in pairs] == [
        ("llmfao-00000", "llmfao_w5", "a"),
        ("llmfao-00001", "llmfao_w5", "d"),
        ("llmfao-00002", "llmfao_w6", "d"),
    ]
    assert [pair.metadata["llm_judge"] for pair in pairs] == [
        {"gpt4": "rejected"},
        {"gpt4": "tie"},
        {"gpt4": "tie"},
    ]
    assert pairs[1].metadata["shown_first"] == "rejected"
    assert (pairs[1].metadata["chosen_model"], pairs[1].metadata["rejected_model"]) == ("Y", "X")
    assert report.reasons == {
        "both responses are the same text": 1,
        "a response is blank": 1,
        "second judgement of the same two texts by the same worker": 1,
    }


def test_the_ties_of_the_public_files_stand_beside_the_pairs(shared_data):
    ties = load_feedback("llmfao", data_dir=shared_data)
    with (shared_data / "llmfao_raw" / "crowd-comparisons.csv").open(encoding="utf-8") as stream:
        votes = [row for row in csv.DictReader(stream) if row["winner"] == "tie"]
    with gzip.open(shared_data / "llmfao_raw" / "pairs-crowd.jsonl.gz", "rt", encoding="utf-8") as stream:
        answers = {str(row["id"]): row for row in map(json.loads, stream)}
    texts = [
        (vote["worker"], frozenset(answers[vote["id"]][side].strip() for side in ("result_x", "result_y")))
        for vote in votes
    ]
    said = {it for it in texts if len(it[1]) == 2 and all(it[1])}
    assert len(votes) == 2453
    assert len(ties) == len(said)
    assert len({tie.feedback_id for tie in ties}) == len(ties)


def test_without_the_raw_files_there_are_no_ties_to_read(tmp_path):
    (tmp_path / "llmfao.jsonl.gz").write_bytes(b"")
    with pytest.raises(DataError, match=r"the ties are in the raw files.*fetch crowd-comparisons.csv"):
        load_feedback("llmfao", data_dir=tmp_path)


def test_is_recognised_in_a_folder(raw, tmp_path):
    assert convert(raw, tmp_path / "out.jsonl").format == "llmfao"


@pytest.mark.parametrize(
    ("line", "field"), [("99,8,1,2,5,left,X,Y", "id"), ("0,8,1,2,7,up,X,Y", "winner"), ("0,8,1,2", None)]
)
def test_malformed_votes(raw, line, field):
    path = raw / "crowd-comparisons.csv"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError, match=r"crowd-comparisons.csv:9: ") as caught:
        read_pairs(raw, format="llmfao")
    assert caught.value.field == field
    assert len(read_pairs(raw, skip_bad_rows=True, format="llmfao").pairs) == 3


def test_a_missing_file_is_named(raw):
    (raw / "pairs-crowd.jsonl.gz").unlink()
    with pytest.raises(DataError, match=r"pairs-crowd.jsonl.gz: there is no such file"):
        read_pairs(raw, format="llmfao")


def test_the_given_splits_are_60_20_20_within_workers(shared_data):
    sizes = Counter(pair.split for pair in read_pairs(shared_data, format="llmfao").pairs)
    assert sizes == {"train": 1981, "validation": 661, "test": 656}
