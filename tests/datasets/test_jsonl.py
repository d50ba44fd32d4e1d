import gzip
import json
import math
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthesizeme.datasets import jsonl, read_feedback, read_pairs, write_pairs
from synthesizeme.datasets.rows.files import MAX_LINE_BYTES
from synthesizeme.errors import DataError
from synthesizeme.types import Message, PreferencePair


def refusal(path, **options):
    with pytest.raises(DataError) as caught:
        read_pairs(path, **options)
    assert caught.value.cure
    assert str(path) in str(caught.value)
    return caught.value


def without(row, field):
    return {key: value for key, value in row.items() if key != field}


def test_reads_plain_and_gzip_alike(pair_row, write_lines):
    rows = [pair_row(1, split="test", metadata={"topic": "units"}), pair_row(2, user_id="bob/../\n🦉")]
    plain = read_pairs(write_lines(*rows))
    zipped = read_pairs(write_lines(*rows, name="pairs.jsonl.gz"))
    assert plain.pairs == zipped.pairs
    assert [pair.user_id for pair in plain.pairs] == ["ada", "bob/../\n🦉"]
    assert (plain.pairs[0].split, plain.pairs[0].metadata) == ("test", {"topic": "units"})
    assert plain.skipped == ()


def test_gzip_is_known_by_its_bytes(pair_row, write_lines, tmp_path):
    zipped = write_lines(pair_row(), name="a.jsonl.gz")
    assert read_pairs(zipped.rename(tmp_path / "b.jsonl")).pairs[0].pair_id == "p0"


def test_bom_blank_lines_and_crlf_are_no_rows(pair_row, write_lines):
    path = write_lines(b"\xef\xbb\xbf" + json.dumps(pair_row(1)).encode() + b"\r", b"", b"  ", pair_row(2))
    assert [pair.pair_id for pair in read_pairs(path).pairs] == ["p1", "p2"]


def test_ids_are_derived_from_content(pair_row, write_lines):
    rows = [without(pair_row(number), "pair_id") for number in (1, 2)]
    one, two = read_pairs(write_lines(*rows)).pairs
    again = read_pairs(write_lines(rows[1], {**rows[0], "pair_id": None})).pairs
    assert one.pair_id != two.pair_id
    assert [pair.pair_id for pair in again] == [two.pair_id, one.pair_id]


MESSAGES = "bare string"
BAD_ROWS = {
    "not json": ('{"pair_id": ', 2, None, ":2: not JSON: Expecting value at column 13. Cure"),
    "a list": ("[1, 2]", 2, None, "found a list"),
    "a number": ("17", 2, None, "found a number"),
    "no user": (lambda row: without(row, "user_id"), 2, "user_id", "missing"),
    "no rejected": (lambda row: without(row, "rejected"), 2, "rejected", "missing"),
    "unknown field": (lambda row: {**row, "score": 3}, 2, "score", "not a field"),
    "truth value as user": (lambda row: {**row, "user_id": True}, 2, "user_id", "found True; expected text or an integer"),
    "fraction as user": (lambda row: {**row, "user_id": 7.5}, 2, "user_id", "found 7.5; expected text or an integer"),
    "nobody as user": (lambda row: {**row, "user_id": None}, 2, "user_id", "found None; expected text"),
    "empty user": (lambda row: {**row, "user_id": ""}, 2, "user_id", "found ''; expected text"),
    "string prompt": (lambda row: {**row, "prompt": "Hi"}, 2, "prompt", MESSAGES),
    "string chosen": (lambda row: {**row, "chosen": "Hi"}, 2, "chosen", MESSAGES),
    "no turns": (lambda row: {**row, "prompt": []}, 2, "prompt", "'prompt': is empty; expected at least one message"),
    "no response": (lambda row: {**row, "chosen": []}, 2, "chosen", "is empty; expected at least one message"),
    "a turn that is a string": (
        lambda row: {**row, "prompt": ["Hi"]}, 2, "prompt[0]", "found 'Hi'; expected a message with role and content",
    ),
    "a turn without content": (
        lambda row: {**row, "prompt": [{"role": "user"}]}, 2, "prompt[0].content", "expected a message with role and content",
    ),
    "a turn with a name": (
        lambda row: {**row, "prompt": [{**row["prompt"][0], "name": "Ada"}]}, 2, "prompt[0].name",
        "found 'Ada'; expected nothing but role and content in a message",
    ),
    "an object for a prompt": (lambda row: {**row, "prompt": row["prompt"][0]}, 2, "prompt", "expected a list of messages"),
    "metadata that is a list": (lambda row: {**row, "metadata": [1]}, 2, "metadata", "found [1]; expected an object"),
    "foreign role": (
        lambda row: {**row, "chosen": [{"role": "model", "content": "Hi"}]}, 2, "chosen[0].role",
        "found 'model'; expected 'system', 'user' or 'assistant'. Cure: correct the row, or",
    ),
    "wrong role": (
        lambda row: {**row, "chosen": [{"role": "user", "content": "Hi"}]}, 2, "chosen", "expected 'assistant'",
    ),
    "prompt ends with assistant": (
        lambda row: {**row, "prompt": [*row["prompt"], *row["chosen"]]}, 2, "prompt",
        "ends with a turn of role 'assistant'; expected 'user'. Cure: correct the row, or",
    ),
    "blank response": (
        lambda row: {**row, "chosen": [{"role": "assistant", "content": " \n"}]}, 2, "chosen[0].content", "blank",
    ),
    "two responses in one": (lambda row: {**row, "chosen": row["chosen"] * 2}, 2, "chosen", "found 2 messages; expected one"),
    "same text": (lambda row: {**row, "rejected": row["chosen"]}, 2, "chosen", "same text"),
    "content that is no text": (
        lambda row: {**row, "prompt": [{"role": "user", "content": ["Hi"]}]}, 2, "prompt[0].content", "found ['Hi']",
    ),
    "long field": (lambda row: {**row, "x" * 10_000: 3}, 2, "x" * 80, "not a field"),
    "long id twice": (lambda row: {**row, "pair_id": "p1", "user_id": "u" * 10_000}, 2, "pair_id", "line 1 has already"),
    "unknown split": (lambda row: {**row, "split": "dev"}, 2, "split", "found 'dev'; expected 'train', 'validation' or 'test'"),
    "not a time": (lambda row: {**row, "created_at": "soon"}, 2, "created_at", "found 'soon'; expected a time such as"),
    "a list for a time": (lambda row: {**row, "created_at": []}, 2, "created_at", "found []; expected a time such as"),
    "a field twice": ('{"user_id": "ada", "user_id": "bob"}', 2, None, "found the field 'user_id' twice"),
    "an inner field twice": ('{"metadata": {"a": 1, "a": 1}}', 2, None, "found the field 'a' twice"),
    "same id": (lambda row: {**row, "pair_id": "p1"}, 2, "pair_id", "line 1 has already"),
    "not utf-8": (b'{"pair_id": "caf\xe9"}', 2, None, "byte 0xe9 at byte offset"),
    "nan": ('{"metadata": {"a": NaN}}', 2, None, "NaN"),
    "infinity": ('{"metadata": {"a": -Infinity}}', 2, None, "-Infinity"),
    "overflow": ('{"metadata": {"a": 1e999}}', 2, None, "1e999"),
    "huge integer": ('{"metadata": {"a": ' + "9" * 5000 + "}}", 2, None, "digits"),
    "deep": ('{"metadata": ' + "[" * 100_000 + "]" * 100_000 + "}", 2, None, "nested"),
    "rather deep": ('{"metadata": ' + "[" * 70 + "]" * 70 + "}", 2, None, "nested"),
    "lone surrogate": (r'{"user_id": "\ud800"}', 2, "user_id", r"lone surrogate \ud800"),
    "surrogate in a name": (r'{"\udfff": 1}', 2, r"\udfff", r"lone surrogate \udfff"),
    "too long": ("{" + " " * MAX_LINE_BYTES + "}", 2, None, "longer than 10,000,000 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_one_clear_error(case, pair_row, write_lines):
    bad, line, field, found = BAD_ROWS[case]
    path = write_lines(pair_row(1), bad(pair_row(2)) if callable(bad) else bad, pair_row(3))
    error = refusal(path)
    assert (error.line, error.field) == (line, field)
    assert found in str(error)
    assert len(str(error)) < 700 + len(str(path)) * 2
    str(error).encode()
    left = read_pairs(path, skip_bad_rows=True)
    assert [pair.pair_id for pair in left.pairs] == ["p1", "p3"]
    assert [(error.line, error.field) for error in left.skipped] == [(line, field)]


def test_error_counts_further_problems_of_the_row(pair_row, write_lines):
    error = refusal(write_lines(pair_row(user_id="", split="later")))
    assert "and 1 more in this row" in str(error)


def test_same_content_without_ids_is_a_duplicate(pair_row, write_lines):
    row = without(pair_row(), "pair_id")
    error = refusal(write_lines(row, pair_row(2), row))
    assert error.line == 3
    assert "repeats the pair of line 1" in str(error)


def test_byte_offset_counts_from_the_beginning_of_the_file(pair_row, write_lines):
    first = json.dumps(pair_row()).encode()
    assert f"byte offset {len(first) + 1 + 3} " in str(
        refusal(write_lines(first, b'{"\xc3\xa4\xff"}'.replace(b"\xc3\xa4", b"a"), b""))
    )


def test_longest_line_is_still_read(pair_row, write_lines):
    row = json.dumps(pair_row())
    assert len(read_pairs(write_lines(row + " " * (MAX_LINE_BYTES - len(row)))).pairs) == 1


def test_huge_line_is_refused_in_bounded_memory(tmp_path):
    path = tmp_path / "bomb.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        for _ in range(300):
            stream.write(b" " * 1_000_000)
    script = (
        "import resource, sys\n"
        "from synthesizeme.datasets import read_pairs\n"
        "from synthesizeme.errors import DataError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    read_pairs(sys.argv[1])\n"
        "except DataError as error:\n    assert 'longer than' in str(error)\n"
        "else:\n    raise SystemExit('read')\n"
        "assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, timeout=60)


@pytest.mark.parametrize(
    ("content", "name", "found"),
    [
        (b"", "empty.jsonl", "empty"),
        (b"\n \n", "blank.jsonl", "no rows"),
        (b"", "empty.jsonl.gz", "empty"),
        (gzip.compress(b"", mtime=0), "nothing.jsonl.gz", "no rows"),
        (b'{"pair_id": 1}\n', "plain.jsonl.gz", "not gzip"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("skip", [False, True])
def test_a_bad_file_is_one_clear_error(content, name, found, skip, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    assert found in str(refusal(path, skip_bad_rows=skip))


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-20], lambda raw: raw[:200] + b"\0" * 90, lambda raw: raw + b"{}"]
)
@pytest.mark.parametrize("skip", [False, True])
def test_a_damaged_gzip_is_one_clear_error(damage, skip, pair_row, write_lines):
    path = write_lines(*map(pair_row, range(300)), name="pairs.jsonl.gz")
    path.write_bytes(damage(path.read_bytes()))
    assert "damaged gzip" in str(refusal(path, skip_bad_rows=skip))


def test_missing_files_folders_and_impossible_paths(tmp_path):
    assert "no such file" in str(refusal(tmp_path / "absent.jsonl"))
    assert "folder" in str(refusal(tmp_path))
    assert "cannot be read" in str(refusal(tmp_path / ("x" * 300)))
    with pytest.raises(DataError, match="null character"):
        read_pairs("a\0b")


def test_no_valid_row_is_an_error_even_when_bad_rows_are_skipped(pair_row, write_lines):
    error = refusal(write_lines("{}", pair_row(user_id="")), skip_bad_rows=True)
    assert "none of the 2 rows" in str(error)
    assert "pairs.jsonl:1: field 'user_id'" in str(error)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(str.strip)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def pairs(draw):
    turns = draw(st.lists(TEXT, min_size=1, max_size=5).filter(lambda turns: len(turns) % 2))
    chosen, rejected = draw(st.tuples(TEXT, TEXT).filter(lambda both: both[0].strip() != both[1].strip()))
    return PreferencePair(
        pair_id=draw(TEXT),
        user_id=draw(TEXT),
        prompt=tuple(
            Message(role=("user", "assistant")[n % 2], content=text) for n, text in enumerate(turns)
        ),
        chosen=(Message(role="assistant", content=chosen),),
        rejected=(Message(role="assistant", content=rejected),),
        split=draw(st.sampled_from([None, "train", "validation", "test"])),
        created_at=draw(st.none() | st.datetimes(timezones=st.just(UTC))),
        metadata=draw(st.dictionaries(TEXT, VALUES, max_size=3)),
    )


@given(
    some=st.lists(pairs(), min_size=1, max_size=4, unique_by=lambda pair: pair.pair_id), zipped=st.booleans()
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read(some, zipped, tmp_path):
    path = tmp_path / ("out.jsonl.gz" if zipped else "out.jsonl")
    assert write_pairs(path, some) == len(some)
    assert list(read_pairs(path).pairs) == some
    assert (path.read_bytes()[:2] == b"\x1f\x8b") is zipped


def test_written_rows_are_trl_rows_plus_user(pair_row, write_lines, tmp_path):
    row = pair_row(created_at="2024-05-01T10:00:00Z", metadata={"a": 1})
    pair = read_pairs(write_lines(row)).pairs[0]
    assert pair.created_at == datetime(2024, 5, 1, 10, tzinfo=UTC)
    write_pairs(tmp_path / "out.jsonl", [pair])
    assert json.loads((tmp_path / "out.jsonl").read_text()) == {
        **row,
        "created_at": "2024-05-01T10:00:00+00:00",
    }


def test_same_pairs_same_bytes(pair_row, write_lines, tmp_path):
    pairs_read = read_pairs(write_lines(pair_row())).pairs
    for name in ("one.jsonl.gz", "two.jsonl.gz"):
        write_pairs(tmp_path / name, pairs_read)
    assert (tmp_path / "one.jsonl.gz").read_bytes() == (tmp_path / "two.jsonl.gz").read_bytes()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(pair_row, write_lines, tmp_path):
    pair = read_pairs(write_lines(pair_row(), name="in.jsonl")).pairs[0]
    path = tmp_path / "out" / "pairs.jsonl"
    write_pairs(path, [pair])
    before = path.read_bytes()
    for bad in ({"x": math.nan}, {"x": object()}):
        with pytest.raises(DataError, match="cannot be written as JSON"):
            write_pairs(path, [pair, pair.model_copy(update={"metadata": bad})])
    with pytest.raises(DataError, match="nothing to write"):
        write_pairs(path, [])
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["pairs.jsonl"]


def test_writing_where_one_cannot_is_one_error(pair_row, write_lines, tmp_path):
    pair = read_pairs(write_lines(pair_row())).pairs[0]
    with pytest.raises(DataError, match="cannot be written"):
        write_pairs(tmp_path, [pair])
    with pytest.raises(DataError, match="cannot be written"):
        write_pairs(tmp_path / "pairs.jsonl" / "below-a-file.jsonl", [pair])


def test_new_files_get_the_usual_permissions(pair_row, write_lines, tmp_path):
    write_pairs(tmp_path / "out.jsonl", read_pairs(write_lines(pair_row())).pairs)
    plain = tmp_path / "plain"
    plain.touch()
    assert (tmp_path / "out.jsonl").stat().st_mode == plain.stat().st_mode


def test_load_takes_the_options_of_an_intake(pair_row, write_lines):
    path = write_lines(pair_row(1), "{}")
    assert [pair.pair_id for pair in read_pairs(str(path), skip_bad_rows=True, format="jsonl").pairs] == [
        "p1"
    ]
    with pytest.raises(DataError, match="user_id"):
        read_pairs(path, format="jsonl")


def test_recognises_only_whole_rows(pair_row):
    assert jsonl.FORMAT.recognises(pair_row())
    assert not jsonl.FORMAT.recognises(pair_row(score=1))
    assert not jsonl.FORMAT.recognises(pair_row(prompt="Hi"))
    assert not jsonl.FORMAT.recognises(without(pair_row(), "user_id"))
    assert not jsonl.FORMAT.recognises(pair_row(chosen=[{"role": "model", "content": "Hi"}]))
    assert not jsonl.FORMAT.recognises(pair_row(prompt=[{"role": "assistant", "content": "Hi"}]))
    assert not jsonl.FORMAT.recognises(pair_row(prompt=["Hi"]))
    assert not jsonl.FORMAT.recognises(pair_row(prompt=[]))


def test_a_stream_gives_each_pair_as_its_line_is_read(tmp_path):
    from synthesizeme.datasets import ReadReport, open_source
    from synthesizeme.discovery import resource

    lines = resource("data/sample/pairs.jsonl").read_text(encoding="utf-8").splitlines()[:3]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join([*lines, lines[0], "{", lines[1]]) + "\n", encoding="utf-8")
    stream = open_source(path, ReadReport(unique_ids=False)).pairs()
    assert [next(stream).pair_id for _ in range(4)] == [f"sample-mara-0{n}" for n in (1, 2, 3, 1)]
    with pytest.raises(DataError, match=r"pairs\.jsonl:5: not JSON"):
        next(stream)
    report = ReadReport(skip_bad_rows=True, unique_ids=False)
    assert len(list(open_source(path, report).pairs())) == 5
    assert [bad.line for bad in report.bad] == [5]


LIKED = {"kind": "trait", "user_id": "ada", "feature": "examples", "answer": "yes"}


def test_what_is_said_of_a_trait_is_read_and_written_back(write_lines, tmp_path):
    path = write_lines(LIKED, {**LIKED, "feature": "emoji", "answer": "no matter", "feedback_id": "e"})
    found = read_feedback(path)
    assert (found.format, [(it.feature, it.answer) for it in found.feedback]) == (
        "jsonl",
        [("examples", "yes"), ("emoji", "no matter")],
    )
    written = tmp_path / "again.jsonl"
    for said in found.feedback:
        jsonl.append(written, said)
    assert read_feedback(written).feedback == found.feedback
    assert found.feedback[0].feedback_id.startswith("trait-")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {"feature": "wit"},
            "field 'feature': .*found 'wit'; expected one of length, .*name a named feature",
        ),
        ({"answer": "rather"}, "field 'answer': .*'yes', 'no' or 'no matter'.*write yes, no, or no matter"),
        ({"answer": None}, "answer"),
        ({"prompt": "Hi"}, "field 'prompt': is not a field of a trait"),
    ],
)
def test_a_trait_that_is_none_is_refused(write_lines, change, problem):
    with pytest.raises(DataError, match=problem):
        read_feedback(write_lines({**LIKED, **change}))


def test_two_answers_about_one_trait_need_a_time_or_an_id(write_lines):
    other = {**LIKED, "answer": "no"}
    with pytest.raises(DataError, match="says otherwise than"):
        read_feedback(write_lines(LIKED, other))
    later = {**other, "created_at": "2024-05-01T00:00:00Z"}
    assert len(read_feedback(write_lines(LIKED, later)).feedback) == 2
