"""Files of the CAS where the kernel copies less than it could, and on a full disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.storage import files
from rpw_fixture.storage.files import copy_all, full_disk_named, read_from, write_all

DATA = bytes(range(256)) * 40


def fail_with(code: int) -> OSError:
    return OSError(code, os.strerror(code))


def test_all_is_written_in_as_many_calls_as_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    written = b""

    def write_some(_fd: int, data: bytes) -> int:
        nonlocal written
        written += bytes(data[:1000])
        return len(data[:1000])

    monkeypatch.setattr(os, "write", write_some)
    write_all(-1, DATA)
    assert written == DATA


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_a_lack_of_resources_and_names_the_file(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:

        def refuse(*_: object) -> None:
            raise fail_with(code)

        monkeypatch.setattr(os, "write", refuse)
        with pytest.raises(RequestError, match=f"{len(DATA)} bytes to {path}") as full:
            write_all(file.fileno(), DATA)
        assert full.value.code is Code.RESOURCE_EXHAUSTED
        monkeypatch.setattr(Path, "readlink", refuse)
        with pytest.raises(RequestError, match="to the CAS"):
            write_all(file.fileno(), DATA)
    with pytest.raises(RequestError, match="no space left to write it"), full_disk_named("it"):
        raise fail_with(code)


def test_other_errors_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="output error") as found, full_disk_named("it"):
        raise fail_with(errno.EIO)
    assert found.value.errno == errno.EIO

    def refuse(*_: object) -> None:
        raise fail_with(errno.EIO)

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(OSError, match="output error"):
        write_all(-1, DATA)


@pytest.mark.parametrize("step", [0, 1, 1000, 10_000_000, errno.EXDEV, errno.ENOSPC])
def test_what_the_kernel_does_not_copy_is_copied_through_memory(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.copy_file_range
    is_error = step in {errno.EXDEV, errno.ENOSPC}
    calls = 0

    def copy_some(source: int, target: int, count: int, here: int, there: int) -> int:
        nonlocal calls
        calls += 1
        if is_error:
            raise fail_with(step)
        if calls > 3:
            return 0
        return real(source, target, min(step, count), here, there) if step else 0

    monkeypatch.setattr(os, "copy_file_range", copy_some)
    monkeypatch.setattr(files, "_CAN_COPY_RANGE", True)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(DATA)
    with source.open("rb") as reading, target.open("wb") as writing:
        if step == errno.ENOSPC:
            with pytest.raises(RequestError, match="no space left"):
                copy_all(reading.fileno(), writing.fileno(), len(DATA))
            return
        copy_all(reading.fileno(), writing.fileno(), len(DATA))
    assert target.read_bytes() == DATA


def test_a_file_that_becomes_shorter_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    with path.open("rb") as file:
        assert [len(each) for each in read_from(file.fileno(), 100, 250, 100)] == [100, 100, 50]
        assert b"".join(read_from(file.fileno(), 10_000, 10_000, 100)) == DATA[10_000:]
        assert list(read_from(file.fileno(), 0, 0)) == []
