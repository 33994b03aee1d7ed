"""A reader sees the old file or the whole new one, whatever happens while it is written."""

from __future__ import annotations

import os
import resource
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from commentary_llm.ground.errors import OutputError
from commentary_llm.ground.files import write_bytes_atomically, write_text_atomically, written_aside


def plain_mode(folder: Path) -> int:
    """The permissions of any file made here."""
    path = folder / "plain"
    path.touch()
    return path.stat().st_mode


def test_text_and_bytes_arrive_as_they_are(tmp_path: Path) -> None:
    write_text_atomically(tmp_path / "a.txt", "Müller\r\nfür Özil\n")
    assert (tmp_path / "a.txt").read_bytes() == "Müller\r\nfür Özil\n".encode()
    write_bytes_atomically(tmp_path / "a.txt", b"\0\n", sync=False)
    assert (tmp_path / "a.txt").read_bytes() == b"\0\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("folder", [False, True])
def test_what_ends_half_way_leaves_the_old(tmp_path: Path, folder: bool) -> None:
    target = tmp_path / "target"

    def write(text: str, *, interrupted: bool) -> None:
        with written_aside(target) as aside:
            if folder:
                aside.mkdir()
            (aside / "a" if folder else aside).write_text(text)
            if interrupted:
                raise KeyboardInterrupt

    def read() -> str:
        return (target / "a" if folder else target).read_text()

    write("old", interrupted=False)
    with pytest.raises(KeyboardInterrupt):
        write("half", interrupted=True)
    assert read() == "old"
    write("new", interrupted=False)
    assert read() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_a_full_disk_is_told_and_leaves_the_old(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"could not write .*a\.txt.*--out"):
            write_text_atomically(path, "x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"):
        write_text_atomically(tmp_path / "nowhere" / "a.txt", "x")


def test_a_file_has_the_permissions_of_any(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text_atomically(tmp_path / "a.txt", "x")
        assert (tmp_path / "a.txt").stat().st_mode == plain_mode(tmp_path)
    finally:
        os.umask(before)


def test_what_other_threads_make_meanwhile_keeps_its_permissions(tmp_path: Path) -> None:
    expected = plain_mode(tmp_path)
    done = threading.Event()
    modes: set[int] = set()

    def make() -> None:
        folder = tmp_path / str(threading.get_ident())
        folder.mkdir()
        number = 0
        while not done.is_set():
            path = folder / str(number)
            path.touch()
            modes.add(path.stat().st_mode)
            number += 1

    makers = [threading.Thread(target=make) for _ in range(4)]
    for maker in makers:
        maker.start()
    try:
        for number in range(300):
            write_text_atomically(tmp_path / "a.txt", str(number))
    finally:
        done.set()
        for maker in makers:
            maker.join()
    assert modes == {expected}


def test_of_many_writers_one_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"

    def write(number: int) -> None:
        write_bytes_atomically(path, bytes([number]) * 5000, sync=False)
        assert len(set(path.read_bytes())) == 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(100)))
    assert list(tmp_path.iterdir()) == [path]
