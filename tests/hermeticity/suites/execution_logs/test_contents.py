"""Contents of logged files: where they are looked for, and that no wrong one is taken."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

import blake3
import pytest

from rpw_fixture.hermeticity.suites.execution_logs.contents import Contents
from rpw_fixture.hermeticity.suites.execution_logs.spawns import LoggedFile
from rpw_fixture.wire.digests import Digest


def logged(path: str, content: bytes, function: str = "SHA-256", **fields: str) -> LoggedFile:
    hasher = blake3.blake3 if function == "BLAKE3" else hashlib.new
    name = function.replace("-", "").lower()
    hashed = hasher(content) if function == "BLAKE3" else hasher(name, content)
    return LoggedFile(
        path=path, digest=f"{hashed.hexdigest()}/{len(content)}", function=function, **fields
    )


@pytest.mark.parametrize("function", ["SHA-256", "SHA256", "SHA-1", "BLAKE3"])
def test_a_file_of_the_workspace(tmp_path: Path, function: str) -> None:
    (tmp_path / "a").write_bytes(b"content")
    contents = Contents(workspace=tmp_path)
    assert contents.get(logged("a", b"content", function)) == (b"content", False)
    assert contents.get(logged("a", b"CONTENT", function)) == "has changed since the build"
    assert contents.get(logged("b", b"content", function)) == "is not there"


def test_an_unknown_function_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    found = Contents(workspace=tmp_path).get(LoggedFile(path="a", digest="00/7", function="VSO"))
    assert found == "has a digest of the unknown function VSO"


def test_empty_files_need_no_place() -> None:
    contents = Contents()
    assert contents.get(LoggedFile(path="a")) == (b"", False)
    assert contents.get(logged("a", b"")) == (b"", False)


def test_the_execution_root_the_output_base_and_runfiles(tmp_path: Path) -> None:
    root = tmp_path / "base/execroot/main"
    for path, content in {root / "bin/gen": b"gen", tmp_path / "base/external/r/f": b"far"}.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (root / "bin/gen").chmod(0o755)
    contents = Contents(exec_root=root)
    assert contents.get(logged("bin/gen", b"gen")) == (b"gen", True)
    assert contents.get(logged("external/r/f", b"far")) == (b"far", False)
    assert contents.get(logged("t.runfiles/x", b"gen", source="bin/gen")) == (b"gen", True)


def test_a_cas_is_asked_once_and_verified(tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(b"here")
    calls: list[Collection[Digest]] = []
    good, bad, gone = (logged(name, name.encode()) for name in ("good", "bad", "gone"))

    def download(digests: Collection[Digest]) -> Mapping[Digest, bytes]:
        calls.append(digests)
        blobs = {good.digest: b"good", bad.digest: b"BAD"}
        return {each: blobs[str(each)] for each in digests if str(each) in blobs}

    contents = Contents(workspace=tmp_path, download=download)
    files = (good, bad, gone, logged("here", b"here"))
    contents.find(files)
    assert [contents.get(each) for each in files] == [
        (b"good", False),
        "is damaged in the CAS",
        "is not there",
        (b"here", False),
    ]
    assert [len(each) for each in calls] == [3]
