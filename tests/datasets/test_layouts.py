"""Rows in layouts that no format reads: named for what they are, with a cure that makes the right pairs."""

from __future__ import annotations

import io
import json
import unicodedata

import pytest

from synthesizeme.datasets import convert, parse_columns, read_feedback, read_pairs
from synthesizeme.datasets.rows import SourceRow, read_user
from synthesizeme.datasets.rows.lines import json_stream
from synthesizeme.errors import DataError
from synthesizeme.evaluation.lint import lint
from synthesizeme.feedback import THUMBS, Rating, Tie
from synthesizeme.types import Strength

ARENA = [
    {"user": "u", "prompt": "Q?", "response_a": "good", "response_b": "bad", "winner": "model_a"},
    {"user": "u", "prompt": "R?", "response_a": "bad", "response_b": "good", "winner": "model_b"},
    {"user": "u", "prompt": "S?", "response_a": "so", "response_b": "as so", "winner": "tie"},
]
HELP = [{"context": "Q?", "response1": "good", "response2": "bad", "overall_preference": -3}]
KTO = [{"user_id": "u", "prompt": "Q?", "completion": "good", "label": True}]
OURS = {"user_id": "u", "prompt": "Q?", "chosen": "good", "rejected": "bad"}


def refused(source, **options):
    with pytest.raises(DataError) as caught:
        read_pairs(source, **options)
    return caught.value


def test_a_verdict_beside_two_responses_makes_the_right_pairs_and_a_tie_stays_one():
    found = read_feedback(ARENA)
    assert [(pair.chosen_text, pair.rejected_text) for pair in found.pairs] == [("good", "bad")] * 2
    (tie,) = found.feedback
    assert isinstance(tie, Tie)
    assert tie.responses == ("so", "as so")
    (pair,) = read_pairs(HELP, user_id="u").pairs
    assert (pair.chosen_text, pair.strength) == ("good", Strength(level=3, levels=3))


def test_one_response_and_its_worth_is_no_pair():
    error = refused(KTO)
    assert "the rows hold 1 thumb, and no choice between two responses" in str(error)
    (thumb,) = read_feedback(KTO).feedback
    assert isinstance(thumb, Rating)
    assert (thumb.response, thumb.value, thumb.scale) == ("good", 1, THUMBS)


def test_columns_of_other_case_are_named_and_the_cure_works(tmp_path):
    path = tmp_path / "case.csv"
    path.write_text("User_ID,Prompt,Chosen,Rejected\nu,Q?,good,bad\n")
    cure = refused(path).cure
    assert cure == "name them with --columns 'prompt=Prompt,chosen=Chosen,rejected=Rejected,user_id=User_ID'"
    (pair,) = read_pairs(path, columns=parse_columns([cure.split("'")[1]])).pairs
    assert pair.user_id == "u"


def test_a_table_by_columns_and_lists_within_an_object_are_named_and_the_cures_work(tmp_path):
    table = {name: [value] * 2 for name, value in OURS.items()} | {"prompt": ["Q?", "R?"]}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(table))
    assert "is one table by columns" in str(refused(path))
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    assert len(read_pairs(rows).pairs) == 2
    whole = {"data": [OURS]}
    path.write_text(json.dumps(whole))
    error = refused(path)
    assert "holds lists of rows in 'data'" in str(error)
    assert "read_pairs(table['data'])" in error.cure
    assert len(read_pairs(whole["data"]).pairs) == 1
    path.write_text(json.dumps(whole["data"]))  # as jq makes of it
    assert len(read_pairs(path).pairs) == 1


def test_csv_without_a_header_is_said_and_a_header_above_mends_it(tmp_path):
    path = tmp_path / "bare.csv"
    for rows in ("u,Q?,good,bad\nu,R?,good,bad\n", "u,u,good,bad\n"):
        path.write_text(rows)
        assert "put one above it, such as `user_id,prompt,chosen,rejected`" in str(refused(path))
        path.write_text("user_id,prompt,chosen,rejected\n" + rows)
        assert len(read_pairs(path).pairs) == rows.count("\n")


@pytest.mark.parametrize(
    "header", ["user_id, prompt, chosen, rejected", "user_id ,prompt\t, chosen ,rejected"]
)
def test_blanks_around_names_of_columns_are_no_part_of_them(tmp_path, header):
    path = tmp_path / "space.csv"
    path.write_text(f"{header}\nu,Q?,good,bad\n")
    assert read_pairs(path).pairs[0].user_id == "u"


def test_a_null_user_is_cured_by_an_owner(tmp_path):
    own = {name: [{"role": role, "content": OURS[name]}] for name, role in
           (("prompt", "user"), ("chosen", "assistant"), ("rejected", "assistant"))}  # fmt: skip
    path = tmp_path / "null.jsonl"
    path.write_text(json.dumps(own | {"user_id": None}) + "\n")
    assert "--user ID" in str(refused(path))
    assert read_pairs(path, user_id="bob").pairs[0].user_id == "bob"


@pytest.mark.parametrize(("value", "name"), [(3, "3"), (3.0, "3"), ("3.0", "3.0")])
def test_a_users_id_is_read_by_one_rule(value, name):
    assert read_user(SourceRow("row", 1, {"user_id": value})) == name
    assert read_pairs([OURS | {"user_id": value}]).pairs[0].user_id == name


def test_a_row_that_no_format_reads_is_not_sent_to_another(tmp_path):
    own = {name: [{"role": role, "content": OURS[name]}] for name, role in
           (("prompt", "user"), ("chosen", "assistant"), ("rejected", "assistant"))}  # fmt: skip
    path = tmp_path / "null.jsonl"
    path.write_text("".join(json.dumps(own | {"user_id": "u"} | it) + "\n" for it in ({}, {"chosen": None})))
    assert "data convert" not in str(refused(path))


def test_a_stream_is_read_by_its_mark_and_a_list_in_it_has_its_own_cure():
    line = json.dumps(OURS | {"prompt": "Q é?"})
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        (row,) = json_stream(io.BytesIO(line.encode(encoding)), "stdin")
        assert row.row["prompt"] == "Q é?"
    with pytest.raises(DataError, match="iconv -f UTF-16LE"):
        list(json_stream(io.BytesIO(line.encode("utf-16-le")), "stdin"))
    (error,) = json_stream(io.BytesIO(f"[{line}]".encode()), "stdin")
    assert error.cure == "write one JSON object per line, as `jq -c '.[]'` makes of a list"


def test_convert_replaces_neither_its_source_nor_another_file_unasked(tmp_path):
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text(json.dumps(OURS) + "\n")
    before = path.read_bytes()
    with pytest.raises(DataError, match="is the one that is read"):
        convert(path, path)
    convert(path, out)
    convert(path, out)
    out.write_text("mine\n")
    with pytest.raises(DataError, match=r"holds something else.*--force"):
        convert(path, out)
    assert (path.read_bytes(), out.read_text()) == (before, "mine\n")
    assert convert(path, out, overwrite=True).pairs_written == 1
    assert convert(path, path, overwrite=True).pairs_written == 1


@pytest.mark.parametrize(
    ("one", "other"), [("7", " 7 "), ("é", unicodedata.normalize("NFD", "é")), ("a b", "a  b")]
)
def test_users_who_differ_by_what_nobody_sees_are_named(one, other):
    rows = [OURS | {"user_id": one}, OURS | {"user_id": other, "prompt": "R?"}]
    (found,) = [it for it in lint(read_pairs(rows).pairs, source="rows").findings if it.name == "users-alike"]
    assert (found.count, found.out_of) == (2, 2)
