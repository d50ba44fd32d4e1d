"""Files are written whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

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


def test_links_are_followed_and_stay(tmp_path):
    place, link, dangling = tmp_path / "there" / "file.txt", tmp_path / "link", tmp_path / "dangling"
    write_whole(place, "old")
    link.symlink_to(place)
    write_whole(link, "new")
    assert (link.is_symlink(), place.read_text()) == (True, "new")
    dangling.symlink_to(tmp_path / "new" / "file.txt")
    write_whole(dangling, "text")
    assert (dangling.is_symlink(), (tmp_path / "new" / "file.txt").read_text()) == (True, "text")


def test_a_pipe_is_written_into(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_whole(pipe, "text")
    reader.join(timeout=10)
    assert read == ["text"]
    assert pipe.is_fifo()
    script = (
        "from pathlib import Path; import synthesizeme.files as f; f.write_whole(Path('/dev/stdout'), 'text')"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout == b"text"


def test_a_device_is_never_replaced(tmp_path):
    device = Path("/dev/full")
    if not device.is_char_device():
        pytest.skip("there is no /dev/full here")
    link = tmp_path / "link"  # a device may be replaced only by root: the link shows it to anyone
    link.symlink_to(device)
    with pytest.raises(DataError, match="No space left"):
        write_whole(link, "text")
    assert list(tmp_path.iterdir()) == [link]
    assert link.is_symlink()
    assert device.is_char_device()
