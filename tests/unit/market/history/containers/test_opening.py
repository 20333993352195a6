"""Only regular files are opened, at once; and the message says what else a file is."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.support.raw_tables import refusal, rows_of, table_in, write

HDF5 = "it is an HDF5 file; convert it, with freqtrade by `freqtrade convert-data --format-to feather`"


@pytest.mark.parametrize("name", ["none.csv", "none.parquet", "none.json.gz", "file/none.zip"])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    assert ": there is no such file" == refusal(tmp_path / name)


def test_a_path_that_no_file_can_have(tmp_path: Path) -> None:
    assert ": it cannot be read: embedded null byte" == refusal(tmp_path / "nul\0.csv")


def test_a_folder(tmp_path: Path) -> None:
    assert ": it is a folder, not a file" == refusal(tmp_path)


def test_a_pipe_without_writer_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "prices.csv")
    assert ": it is a pipe (FIFO), not a file" == refusal(tmp_path / "prices.csv")


@pytest.mark.parametrize("name", ["zero", "null", "random"])
def test_a_device(tmp_path: Path, name: str) -> None:
    link = tmp_path / "prices.csv"
    link.symlink_to(Path("/dev") / name)
    assert ": it is a device, not a file" == refusal(link)


def test_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert ": it is a socket, not a file" == refusal(Path("socket"))


def test_a_link_to_a_file_is_that_file(tmp_path: Path) -> None:
    write(tmp_path, "1,2\n3,4\n")
    (tmp_path / "link").symlink_to("prices.csv")
    assert [("1", "2"), ("3", "4")] == rows_of(table_in(tmp_path / "link"))
    (tmp_path / "circle").symlink_to("circle")
    assert ": it cannot be read: Too many levels of symbolic links" == refusal(tmp_path / "circle")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = write(tmp_path, "1,2\n")
    path.chmod(0)
    assert ": it cannot be read: Permission denied" == refusal(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "it is an old Excel workbook (xls); save it as CSV"),
        (b"\x89HDF\r\n", HDF5),
        (b"BZh91AY", "it is compressed by bzip2; unpack it, or use gzip or zip"),
        (b"\xfd7zXZ\0", "it is compressed by xz; unpack it, or use gzip or zip"),
        (b"\x28\xb5\x2f\xfd\x04", "it is compressed by zstd; unpack it, or use gzip or zip"),
        (b"7z\xbc\xaf\x27\x1c\0", "it is a 7z archive; unpack it, or use gzip or zip"),
        (b"Rar!\x1a", "it is a RAR archive; unpack it, or use gzip or zip"),
        (b"SQLite format 3\0", "it is an SQLite database; export its table as CSV"),
        (b"%PDF-1.7", "it is a PDF document, not a table"),
        (b"version https://git-lfs.github.com/spec/v1\n",
         "it is a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`"),
        (b"a.csv".ljust(257, b"\0") + b"ustar\0", "it is a tar archive; unpack it, or use zip"),
        (b"\n<!DOCTYPE html>", "it is a web page or XML, not a table; perhaps a download that failed"),
        (b"<HTML>", "it is a web page or XML, not a table; perhaps a download that failed"),
        (b"\xef\xbb\xbf<?xml", "it is a web page or XML, not a table; perhaps a download that failed"),
    ],
)  # fmt: skip
def test_files_of_other_kinds(tmp_path: Path, content: bytes, reason: str) -> None:
    assert f": {reason}" == refusal(write(tmp_path, content))


def test_the_name_does_not_decide_what_a_file_is(tmp_path: Path) -> None:
    for name in ("prices.parquet", "prices.zip", "prices.json", "prices"):
        assert [("1", "2"), ("3", "4")] == rows_of(table_in(write(tmp_path, "1,2\n3,4\n", name)))
