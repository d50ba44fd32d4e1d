"""Rows as other tools write them: tables of messages, parts, tools, several places for one conversation."""

import csv
import io
import json
from datetime import UTC, datetime

import numpy
import pyarrow
import pyarrow.parquet
import pytest

from synthesizeme.datasets import parse_columns, read_pairs
from synthesizeme.errors import ConfigError, DataError


def turn(role, content, **more):
    return {"role": role, "content": content, **more}


Q, A, B = turn("user", "Hi"), turn("assistant", "Yes?"), turn("assistant", 'It\'s "no"\nto {you} {all}.')
PAIR = {"user_id": "u", "prompt": [Q], "chosen": [A], "rejected": [B]}


def texts(pair):
    return [(m.role, m.content) for m in (*pair.prompt, *pair.chosen, *pair.rejected)]


EXPECTED = [(it["role"], it["content"]) for it in (Q, A, B)]


def as_array(turns):
    """A list of messages as NumPy holds it, as in a data frame read from Parquet."""
    found = numpy.empty(len(turns), dtype=object)
    found[:] = turns
    return found


def as_csv(path, rows, write, **options):
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, rows[0], **options)
    writer.writeheader()
    writer.writerows({k: v if isinstance(v, str) else write(v) for k, v in row.items()} for row in rows)
    path.write_text(stream.getvalue(), encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize(
    "write",
    [str, json.dumps, lambda turns: str(as_array(turns)), lambda turns: repr(as_array(turns))],
    ids=["python", "json", "numpy str", "numpy repr"],
)
@pytest.mark.parametrize("container", ["csv", "jsonl", "parquet"])
def test_columns_of_messages_as_text_hold_messages(write, container, tmp_path, write_lines):
    rows = [{**PAIR, "prompt": [Q, A, turn("user", f"More {n}?")]} for n in range(3)]
    told = [{k: v if isinstance(v, str) else write(v) for k, v in row.items()} for row in rows]
    path = tmp_path / f"my.data.{container}"
    if container == "csv":
        as_csv(path, rows, write)
    elif container == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(told), path)
    else:
        path = write_lines(*told, name=path.name)
    pairs = read_pairs(path).pairs
    assert [len(pair.prompt) for pair in pairs] == [3, 3, 3]
    assert texts(pairs[1])[-2:] == EXPECTED[-2:]


def test_a_cell_of_messages_that_cannot_be_read_is_refused_by_its_column(tmp_path):
    rows = [{**PAIR, "chosen": [turn("assistant", f"Yes {n}")]} for n in range(4)]
    path = as_csv(tmp_path / "a.csv", rows, str)
    path.write_text(path.read_text().replace("'content': 'Yes 2'", "'content': Timestamp('Yes 2')"))
    with pytest.raises(DataError, match=r"a\.csv:4: field 'chosen': .*the column holds messages.*Parquet"):
        read_pairs(path)
    assert len(read_pairs(path, skip_bad_rows=True).pairs) == 3


def test_answers_that_are_json_stay_text_unless_their_column_holds_messages(tmp_path, write_lines):
    answers = ['{"a": 1}', "[1, 2]", '[{"role": "user", "content": "x"}]', "{'b': 2}", "plain"]
    rows = [
        {"user_id": "u", "prompt": f"As JSON, please ({n}).", "chosen": answer, "rejected": "[]"}
        for n, answer in enumerate(answers)
    ]
    for path in (as_csv(tmp_path / "a.csv", rows, str), write_lines(*rows)):
        pairs = read_pairs(path).pairs
        assert [pair.chosen_text for pair in pairs] == answers
        assert {pair.rejected_text for pair in pairs} == {"[]"}
        (note,) = read_pairs(path).assumed
        assert note == "column 'chosen' read as text, though 1 of its first cells look like messages"


def test_objects_of_other_columns_are_read(tmp_path):
    rows = [
        {**PAIR, "metadata": {"topic": "x"}, "tags": ["a", "b"], "pair_id": "", "split": "", "created_at": ""}
    ]
    pair = read_pairs(as_csv(tmp_path / "a.csv", rows, str)).pairs[0]
    assert pair.metadata == {"topic": "x", "tags": ["a", "b"]}
    assert (pair.split, pair.created_at) == (None, None)


def test_a_data_frame_with_its_index_and_numpy_scalars(tmp_path):
    lines = [",user_id,prompt,chosen,rejected,metadata"]
    lines += [f"""{n},u,{n}?,a,b,"{{'ok': np.True_, 'n': np.int64({n})}}\"""" for n in range(3)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(lines))
    assert [pair.metadata for pair in read_pairs(path).pairs] == [{"ok": True, "n": n} for n in range(3)]


S = turn("system", "Be brief.")
MERGED = {
    "sides repeat the last turn": ({"prompt": [S, Q, A, Q]}, [Q], [S, Q, A, Q]),
    "sides repeat everything": ({"prompt": [S, Q]}, [S, Q], [S, Q]),
    "sides know of a system turn": ({"prompt": "Hi"}, [S, Q], [S, Q]),
    "sides go on": ({"prompt": [S, Q, A]}, [Q], [S, Q, A, Q]),
    "a dialogue": (
        {"conversations": [{"from": "system", "value": "Be brief."}, {"from": "human", "value": "Hi"}]},
        [],
        [S, Q],
    ),
    "a system column": ({"prompt": "Hi", "system": "Be brief."}, [], [S, Q]),
    "a system column beside the same turn": ({"prompt": [S, Q], "system_prompt": "Be brief."}, [], [S, Q]),
    "a system column and whole sides": ({"system_prompt": "Be brief."}, [Q], [S, Q]),
    "spaces": ({"prompt": [S, turn("user", "Hi ")]}, [Q], [S, Q]),
}


@pytest.mark.parametrize("case", MERGED)
def test_what_stands_in_several_places_is_merged(case, write_lines):
    row, before, prompt = MERGED[case]
    path = write_lines({"user_id": "u", **row, "chosen": [*before, A], "rejected": [*before, B]})
    pair = read_pairs(path).pairs[0]
    assert [(m.role, m.content.strip()) for m in pair.prompt] == [(m["role"], m["content"]) for m in prompt]
    assert texts(pair)[-2:] == EXPECTED[-2:]
    assert pair.metadata == {}


def test_sides_that_neither_repeat_nor_answer_the_prompt_are_refused(write_lines):
    other = turn("user", "Ho")
    path = write_lines({"user_id": "u", "prompt": [Q], "chosen": [other, A], "rejected": [other, B]})
    with pytest.raises(DataError, match=r"field 'chosen': begins with 'Ho'.*--skip-bad-rows"):
        read_pairs(path)


def test_turns_after_the_responses_are_counted(write_lines):
    row = {"user_id": "u", "chosen": [Q, A, Q, A], "rejected": [Q, B]}
    assert read_pairs(write_lines(row)).pairs[0].metadata == {"later_turns": 2}


PARTS = {
    "parts": ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
    "the arena's parts": ([{"type": "text", "text": "a", "image": None, "mimeType": None}], "a"),
    "input and output": ([{"type": "output_text", "text": "a"}], "a"),
    "thoughts": ([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}], "a"),
    "tool use": ([{"type": "tool_use", "name": "find", "input": {"q": 1}}], '[calls find({"q": 1})]'),
}


@pytest.mark.parametrize("case", PARTS)
@pytest.mark.parametrize("extra", [{}, {"score": 1}], ids=["our own fields", "more fields"])
def test_content_in_parts_is_joined(case, extra, write_lines):
    parts, text = PARTS[case]
    rows = [
        {**PAIR, **extra},
        {**PAIR, **extra, "prompt": [turn("user", "2")], "chosen": [turn("assistant", parts)]},
    ]
    for path in (write_lines(*rows), write_lines(*rows[::-1], name="b.jsonl")):
        assert text in [pair.chosen_text for pair in read_pairs(path).pairs]


@pytest.mark.parametrize(
    ("part", "named"),
    [
        ({"type": "image_url", "image_url": {"url": "data:"}}, "an image"),
        ({"type": "image"}, "an image"),
        ({"type": "text", "text": "see", "image": "aGk="}, "an image"),
        ({"type": "input_audio", "input_audio": {}}, "audio"),
        ({"type": "video"}, "a video"),
    ],
)
def test_what_is_no_text_is_named_and_left_out(part, named, write_lines):
    rows = [PAIR, {**PAIR, "prompt": [turn("user", [{"type": "text", "text": "What?"}, part])]}]
    file = read_pairs(write_lines(*rows))
    assert file.reasons == {f"a turn holds {named}, which cannot be judged": 1}
    assert len(file.pairs) == 1


def test_tools_and_developers_are_kept_as_text(write_lines):
    call = {"function": {"name": "weather", "arguments": '{"at": "Oslo"}'}, "type": "function", "id": "c1"}
    prompt = [
        turn("developer", "Be brief."), turn("user", "Rain?"), turn("assistant", None, tool_calls=[call]),
        turn("tool", "wet", name="weather", tool_call_id="c1"),
    ]  # fmt: skip
    pair = read_pairs(write_lines({**PAIR, "prompt": prompt})).pairs[0]
    assert texts(pair)[:4] == [
        ("system", "Be brief."), ("user", "Rain?"), ("assistant", '[calls weather({"at": "Oslo"})]'),
        ("user", "[result of weather] wet"),
    ]  # fmt: skip
    nothing = {**PAIR, "chosen": [turn("assistant", None)]}
    with pytest.raises(DataError, match=r"field 'chosen'.*expected"):
        read_pairs(write_lines(nothing))


@pytest.mark.parametrize(
    ("given", "read"), [(7, "7"), (3.0, "3"), ("3.0", "3.0"), ("a.b@c.d", "a.b@c.d"), ("..", "..")]
)
def test_ids_of_users_are_text(given, read, write_lines):
    for extra in ({}, {"score": 1}):
        assert read_pairs(write_lines({**PAIR, **extra, "user_id": given})).pairs[0].user_id == read


def test_nan_and_blank_name_nobody(tmp_path):
    rows = [
        {**PAIR, "user_id": it, "n": n, "prompt": f"{n}"} for n, it in enumerate([1.0, float("nan"), None])
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    file = read_pairs(tmp_path / "a.parquet", user_id="me")
    assert [pair.user_id for pair in file.pairs] == ["1", "me", "me"]
    assert file.assumed == ("rows that name no user: 2, of 'me'",)
    with pytest.raises(DataError, match=r"--columns user_id=NAME"):
        read_pairs(tmp_path / "a.parquet")


def test_times_without_a_zone_are_of_utc_and_said(write_lines):
    times = ["2024-05-01T10:00:00", "2024-05-01T10:00:00+02:00", "2024-05-01 09:30:00", "2024-05-01"]
    rows = [{**PAIR, "prompt": [turn("user", it)], "created_at": it} for it in times]
    file = read_pairs(write_lines(*rows))
    found = sorted(pair.created_at for pair in file.pairs)
    assert found[0] == datetime(2024, 5, 1, tzinfo=UTC)
    assert [it.hour for it in map(lambda it: it.astimezone(UTC), found)] == [0, 8, 9, 10]
    assert file.assumed == ("times without a zone: 3, read as UTC",)


def test_the_later_layout_of_the_arena(write_lines):
    def talk(answer):
        content = [{"type": "text", "text": answer, "image": None, "mimeType": None}]
        return [
            turn("user", [{"type": "text", "text": "Hi", "image": None, "mimeType": None}]),
            turn("assistant", content),
        ]

    row = {
        "id": "b1", "model_a": "x", "model_b": "y", "winner": "model_a", "evaluation_session_id": "s1",
        "conversation_a": talk("Yes?"), "conversation_b": talk("No."), "timestamp": "2025-06-01 10:00:00",
        "full_conversation": [], "language": "en",
    }  # fmt: skip
    pairs = read_pairs(
        write_lines(row, {**row, "id": "b2", "winner": "both_bad"}), format="chatbot-arena"
    ).pairs
    assert [(pair.pair_id, pair.user_id, pair.chosen_text) for pair in pairs] == [("b1", "s1", "Yes?")]
    assert pairs[0].created_at == datetime(2025, 6, 1, 10, tzinfo=UTC)


def test_columns_with_other_names(write_lines):
    row = {
        "ask, please": "Hi",
        "good": "Yes?",
        "bad": "No.",
        "meta": {"rater": 12, "site": "x"},
        "prompt": "old",
    }
    columns = parse_columns(["prompt=ask, please,chosen=good", "rejected=bad,user_id=meta.rater"])
    pair = read_pairs(write_lines(row), columns=columns).pairs[0]
    assert (pair.user_id, texts(pair)[0]) == ("12", ("user", "Hi"))
    assert pair.metadata == {"meta": {"rater": 12, "site": "x"}}
    with pytest.raises(DataError, match=r"--columns prompt=NAME"):
        read_pairs(write_lines({"question": "?", "good": "a", "bad": "b"}))
    with pytest.raises(
        DataError, match=r"pairs\.jsonl:1: field 'chosen': there is no column 'better'; found"
    ):
        read_pairs(write_lines(row), columns={"chosen": "better"})


@pytest.mark.parametrize("wrong", ["prompt", "prompt=", "question=a", "prompt=a,prompt=b", "=a"])
def test_wrong_assignments_of_columns(wrong):
    with pytest.raises(ConfigError, match=r"--columns: found .*expected FIELD=COLUMN"):
        parse_columns([wrong])
