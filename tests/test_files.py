"""Files are written whole or not at all."""

from __future__ import annotations

import os

import pytest

from synthesizeme.errors import DataError
from synthesizeme.files import whole_file, write_whole


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a" / "file.txt"
    write_whole(path, "old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"file\.txt"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_nothing_is_left_when_the_writer_fails(tmp_path):
    def fail():
        with whole_file(tmp_path / "new" / "file.bin") as stream:
            stream.write(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list((tmp_path / "new").iterdir()) == []


def test_a_place_that_is_no_folder_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DataError, match=r"taken.*Cure: check the path"):
        write_whole(tmp_path / "taken" / "file.txt", "text")
