"""Files and folders as they are found: encodings, delimiters, compressions, saved data sets, hub checkouts."""

import bz2
import gzip
import json
import lzma
import os
import sys
import threading
import warnings

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthesizeme.datasets import read_pairs
from synthesizeme.datasets.rows import lines as row_lines
from synthesizeme.errors import DataError

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
ROWS = [
    {"user_id": "é", "prompt": f"Wie weit, Käpt’n {n}? €", "chosen": f"Ja; {n},\nsehr", "rejected": "Nein"}
    for n in range(3)
]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def cells(delimiter, end="\n", head=""):
    lines = [ROWS[0].keys(), *(row.values() for row in ROWS)]
    quoted = (delimiter.join(f'"{cell}"' for cell in line) for line in lines)
    return head + end.join(quoted) + end


def chosen(source, **options):
    return [pair.chosen_text for pair in read_pairs(source, **options).pairs]


EXPECTED = [row["chosen"] for row in ROWS]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-be-mark", "utf-32-be-mark"]
)
@pytest.mark.parametrize("container", ["jsonl", "json", "csv"])
def test_text_is_read_by_its_mark(encoding, container, tmp_path):
    text = {"jsonl": LINES, "json": json.dumps(ROWS, ensure_ascii=False), "csv": cells(",", "\r\n")}[
        container
    ]
    marked = encoding.endswith("-mark")
    name = encoding.removesuffix("-mark")
    path = tmp_path / f"a.b.{container}"
    path.write_bytes(("\ufeff" * marked + text).encode(name))
    assert chosen(path) == EXPECTED


@pytest.mark.parametrize("container", ["jsonl", "csv"])
@pytest.mark.parametrize(
    ("encoding", "name", "text"),
    [
        ("utf-16-le", "UTF-16LE", None),
        ("utf-16-be", "UTF-16BE", None),
        ("utf-32-le", "UTF-32LE", None),
        ("cp1252", "CP1252", None),
        ("shift_jis", "SHIFT_JIS", "今日はとても良い天気ですね。"),
        ("euc-jp", "EUC-JP", "今日はとても良い天気ですね。"),
        ("gb18030", "GB18030", "今天天气很好，我喜欢猫。"),
        ("big5", "BIG5", "今天天氣很好，我喜歡貓。"),
        ("euc-kr", "EUC-KR", "오늘은 날씨가 매우 좋습니다."),
        ("cp1251", "CP1251", "Сегодня очень хорошая погода."),
    ],
)
def test_other_encodings_are_named_with_a_cure_that_works(encoding, name, text, container, tmp_path):
    row = {**ROWS[0], "user_id": "u", "prompt": text or ROWS[0]["prompt"], "chosen": "a"}
    found = (
        json.dumps(row, ensure_ascii=False)
        if container == "jsonl"
        else ",".join(row) + "\n" + ",".join(f'"{cell}"' for cell in row.values())
    )
    raw = (found + "\n").encode(encoding)
    path = tmp_path / f"a.{container}"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=rf"looks like {name}.*`iconv -f {name} -t UTF-8`"):
        read_pairs(path)
    path.write_text(raw.decode(name.replace("LE", "-LE").replace("BE", "-BE")), encoding="utf-8")
    assert read_pairs(path).pairs[0].prompt[-1].content == row["prompt"]


def test_damaged_utf8_is_called_damaged(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINES.encode().replace("Käpt".encode(), b"K\xc3pt", 1))
    with pytest.raises(DataError, match=r":1: byte 0xc3 at byte offset \d+ is not UTF-8.*damaged.*iconv -c"):
        read_pairs(path)
    assert chosen(path, skip_bad_rows=True) == EXPECTED[1:]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", cells(",")),
        ("a.csv", cells(";", "\r\n")),
        ("a.csv", cells(";", "\r\n", head="sep=;\r\n")),
        ("a.csv", cells("\t")),
        ("a.tsv", cells("\t")),
        ("a.csv", cells(",").replace('rejected"', 'rejected",').replace('Nein"', 'Nein",') + ",,,,\n\n"),
        ("a.csv", cells(",").replace('"Nein"', '"Nein",,')),
        ("a.jsonl", LINES.replace("}\n", "},\r\n") + "\n\n"),
        ("a.json", f"[\n{LINES.replace(chr(10), ',')[:-1]}\n]"),
    ],
    ids=["comma", "semicolon", "sep line", "tab", "tsv", "trailing comma", "longer rows", "cut list", "list"],
)
def test_tables_as_other_programs_save_them(name, text, tmp_path):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    assert chosen(path) == EXPECTED


@given(
    values=st.lists(st.dictionaries(st.text(max_size=8), VALUES, max_size=3), max_size=5),
    indent=st.sampled_from([None, 1]),
    size=st.integers(1, 40),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_list_is_read_item_by_item_wherever_a_block_ends(values, indent, size, tmp_path, monkeypatch):
    monkeypatch.setattr(row_lines, "_CHUNK", size)
    path = tmp_path / "list.json"
    path.write_text("\n" + json.dumps(values, indent=indent, ensure_ascii=False) + " \n", encoding="utf-8")
    assert [place.row for place in row_lines.json_items(path)] == values


@pytest.mark.skipif(sys.platform == "win32", reason="no such pipes")
def test_a_pipe_is_read_once_as_our_own_format(tmp_path, pair_row):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    lines = "".join(json.dumps(pair_row(number)) + "\n" for number in range(3))
    writer = threading.Thread(target=pipe.write_text, args=(lines,), daemon=True)
    writer.start()
    assert [pair.pair_id for pair in read_pairs(pipe).pairs] == ["p0", "p1", "p2"]


def zstd(raw):
    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(raw)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("suffix", "pack"), [("gz", gzip.compress), ("zst", zstd), ("bz2", bz2.compress), ("xz", lzma.compress)]
)
def test_compressed_files_are_known_by_their_bytes(suffix, pack, tmp_path):
    path = tmp_path / f"pairs.jsonl.{suffix}"
    path.write_bytes(pack(LINES.encode()))
    assert chosen(path) == EXPECTED
    assert chosen(path.rename(tmp_path / "pairs.txt")) == EXPECTED
    path.write_bytes(pack(LINES.encode() * 200)[:-15])
    with pytest.raises(DataError, match=r"damaged"):
        read_pairs(path, skip_bad_rows=True)
    path.write_text(LINES)
    with pytest.raises(DataError, match=f"named .{suffix}"):
        read_pairs(path)


@pytest.mark.parametrize(
    ("name", "raw", "found"),
    [
        ("a.csv", b"PK\x03\x04" + b"\0" * 40, "Excel workbook"),
        ("a.jsonl", b"PAR1....", r"end in \.parquet"),
        ("a.jsonl", b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        ("a.parquet", b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        ("a.csv", b"", "empty"),
        ("a.arrow", b"abc", "not a readable Arrow file"),
        ("a.json", b'[{"a": 1},\n {"a": "x\\"]"}, {"a" 2}]', r":2: not JSON: .* at column 22\."),
        ("a.json", b'[{"a": 1}, {"a": "x}]', "the list does not end"),
        ("a.json", b'[{"a": 1}] {"a": 2}', "behind the end of the list"),
        ("a.json", b'[{"a": 1},, {"a": 2}]', ":1: not JSON"),
        ("a.csv", b"user_id,prompt,chosen,rejected\nu,a,b\n", ":2: the row has 3 cells, the header 4"),
        ("a.csv", b"user_id,prompt,chosen,rejected\nu,a,b,c,d\n", ":2: the row has 5 cells, the header 4"),
        ("a.csv", b"user_id,prompt,chosen,chosen\nu,a,b,c\n", ":1: two columns have the name 'chosen'"),
    ],
)
def test_what_is_no_table_or_not_whole_is_named(name, raw, found, tmp_path):
    path = tmp_path / name
    path.write_bytes(raw)
    with pytest.raises(DataError, match=found):
        read_pairs(path)


def test_folders_of_save_to_disk(tmp_path):
    datasets = pytest.importorskip("datasets")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = datasets.Dataset.from_list(ROWS)
        whole.save_to_disk(tmp_path / "one", num_shards=2)
        parts = {"train": whole.select([0, 1]), "test": whole.select([2])}
        datasets.DatasetDict(parts).save_to_disk(tmp_path / "parts")
    (tmp_path / "one" / "cache-0123.arrow").write_bytes(b"left behind")
    assert chosen(tmp_path / "one") == EXPECTED
    file = read_pairs(tmp_path / "parts")
    assert {pair.chosen_text: pair.split for pair in file.pairs} == dict(
        zip(EXPECTED, ["train", "train", "test"], strict=True)
    )
    assert chosen(tmp_path / "one" / "data-00000-of-00002.arrow") == EXPECTED[:2]


def write_shards(folder, splits):
    folder.mkdir(parents=True)
    for name, row in splits.items():
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), folder / f"{name}.parquet")


CONFIGS = """---
license: mit
configs:
- config_name: default
  data_files:
  - split: train
    path: prefs/a-*
  - split: test
    path: [prefs/b.parquet]
- config_name: survey
  data_files: survey/*.csv
---
# Pairs
"""


def test_a_hub_checkout_is_read_by_the_configs_of_its_readme(tmp_path):
    write_shards(tmp_path / "prefs", {"a-00000-of-00002": ROWS[0], "a-00001-of-00002": ROWS[1], "b": ROWS[2]})
    (tmp_path / "survey").mkdir()
    (tmp_path / "survey" / "people.csv").write_text("age\n7\n")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.json").write_text("{}")
    (tmp_path / "README.md").write_text(CONFIGS)
    assert [(it.chosen_text, it.split) for it in read_pairs(tmp_path).pairs] == list(
        zip(EXPECTED, ["train", "train", "test"], strict=True)
    )
    (tmp_path / "README.md").write_text(CONFIGS.replace("default", "prefs"))
    with pytest.raises(DataError, match=r"several configs: prefs, survey.*prefs/a-"):
        read_pairs(tmp_path)
    assert len(chosen(tmp_path / "prefs")) == 3


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"], ["train", "train", "test"]),
        (["train_prefs", "train_sft", "val"], ["train", "train", "validation"]),
        (["train-00000-of-00003", "train-00001-of-00003", "train-00002-of-00003"], [None, None, None]),
        (["part.1", "part.2", "part.3"], [None, None, None]),
    ],
)
def test_files_of_several_splits_give_their_rows_the_split(names, splits, tmp_path):
    write_shards(tmp_path / "data", dict(zip(names, ROWS, strict=True)))
    found = {pair.chosen_text: pair.split for pair in read_pairs(tmp_path).pairs}
    assert found == dict(zip(EXPECTED, splits, strict=True))
