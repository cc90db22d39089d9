"""Files that arguments name and a request changes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from rpw_fixture.workers.tee import output_watch
from rpw_fixture.workers.tee.output_watch import OutputWatch


def digest_of(data: bytes) -> str:
    return f"{hashlib.sha256(data).hexdigest()}/{len(data)}"


def watch(folder: Path, *arguments: str, inputs: tuple[str, ...] = ()) -> OutputWatch:
    return OutputWatch(str(folder), arguments, inputs)


def test_what_is_made_and_what_is_changed_is_an_output(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    (tmp_path / "same").write_text("same")
    seen = watch(tmp_path, "--out=new,old", "same", "@flags", f"{tmp_path}/absolute")
    (tmp_path / "new").write_text("new")
    (tmp_path / "old").write_text("changed")
    (tmp_path / "absolute").write_text("a")
    (tmp_path / "flags").write_text("f")
    (tmp_path / "unnamed").write_text("u")
    seen.see_end()
    assert seen.outputs == ("new", "old", "flags", "absolute")
    (tmp_path / "new").rename(tmp_path / "moved")
    assert seen.digests() == [
        ("new", digest_of(b"new")),
        ("old", digest_of(b"changed")),
        ("flags", digest_of(b"f")),
        ("absolute", digest_of(b"a")),
    ]
    assert seen.digests() == []


@pytest.mark.parametrize("argument", ["in/file", "in", "", ".", "..", "../x", "a\nb", "x" * 4097])
def test_inputs_their_folders_and_what_is_no_path_in_the_root_are_no_outputs(
    argument: str, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    seen = watch(tmp_path, argument, "a\0b", inputs=("in/file",))
    (tmp_path / "in/file").write_text("new")
    (tmp_path / "in/other").write_text("new")
    seen.see_end()
    assert seen.outputs == ()
    assert seen.digests() == []


def test_a_new_folder_is_one_output_and_of_an_old_one_only_what_changed(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    for name in "abc":
        (tmp_path / "old" / name).write_text(name)
    seen = watch(tmp_path, "new", "old")
    (tmp_path / "new/deep").mkdir(parents=True)
    (tmp_path / "new/deep/file").write_text("x")
    (tmp_path / "new/a").write_text("x")
    (tmp_path / "old/b").write_text("changed")
    (tmp_path / "old/d").write_text("d")
    seen.see_end()
    assert seen.outputs == ("new", "old/b", "old/d")
    assert [path for path, _ in seen.digests()] == ["new/a", "new/deep/file", "old/b", "old/d"]


def test_a_file_that_was_deleted_is_no_output(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    seen = watch(tmp_path, "file")
    (tmp_path / "file").unlink()
    seen.see_end()
    assert seen.outputs == ()


def test_outputs_that_vanish_or_can_not_be_read_have_no_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_watch, "_MOST_OPEN", 1)
    seen = watch(tmp_path, "a", "b", "c")
    for name in "abc":
        (tmp_path / name).write_text(name)
    seen.see_end()
    for name in "ab":
        (tmp_path / name).unlink()
    assert seen.outputs == ("a", "b", "c")
    assert seen.digests() == [("a", digest_of(b"a")), ("c", digest_of(b"c"))]

    def fail(*_: object) -> int:
        raise PermissionError

    seen = watch(tmp_path, "d")
    (tmp_path / "d").write_text("d")
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", fail)
        seen.see_end()
    assert (seen.outputs, seen.digests()) == (("d",), [])


def test_closing_gives_back_what_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_watch, "_MOST_OPEN", 1)
    seen = watch(tmp_path, "a", "b")
    for name in "ab":
        (tmp_path / name).write_text(name)
    seen.see_end()
    seen.close()
    seen.close()
    assert seen.digests() == []


def test_a_large_folder_is_looked_at_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_watch, "_MOST_FILES", 3)
    (tmp_path / "big").mkdir()
    for name in "abcd":
        (tmp_path / "big" / name).touch()
    os.mkfifo(tmp_path / "big/0")
    seen = watch(tmp_path, "big")
    for name in "abcd":
        (tmp_path / "big" / name).write_text("x")
    seen.see_end()
    assert seen.outputs == ("big/a", "big/b", "big/c")
    seen.close()
