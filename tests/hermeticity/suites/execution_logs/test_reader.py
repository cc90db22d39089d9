"""Logs in all formats, and broken ones: the message names the offset."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.suites.execution_logs.reader import load
from rpw_fixture.wire.protos import spawn
from tests.hermeticity.suites.execution_logs.logs import (
    entry,
    file,
    invocation,
    write_binary,
    write_compact,
    write_json,
)

SPAWN = spawn.SpawnExec(
    command_args=["tools/w", "--x", "@a.params"],
    environment_variables=[spawn.EnvironmentVariable(name="A", value="1")],
    platform=spawn.Platform(properties=[spawn.Platform.Property(name="p", value="v")]),
    inputs=[
        file("tools/w", b"w", is_tool=True),
        spawn.File(path="empty"),
        spawn.File(path="link", symlink_target_path="there"),
    ],
    listed_outputs=["out", "ü"],
    actual_outputs=[file("out", b"o")],
    mnemonic="M",
    runner="worker",
    timeout_millis=2000,
    exit_code=1,
)


@pytest.mark.parametrize("write", [write_binary, write_json])
def test_both_formats_give_the_same(tmp_path: Path, write: type) -> None:
    first, second = load(write(tmp_path / "log", SPAWN, SPAWN))
    assert first == second
    assert first.arguments == ("tools/w", "--x", "@a.params")
    assert first.split.startup == ("tools/w", "--x")
    assert (first.environment, first.platform) == ((("A", "1"),), {"p": "v"})
    assert [each.is_tool for each in first.inputs] == [True, False, False]
    assert [each.target for each in first.inputs] == ["", "", "there"]
    assert first.listed_outputs == ("out", "ü")
    assert (first.name, first.timeout, first.exit_code) == ("out M", 2.0, 1)
    assert first.ran_on_worker


def test_fields_of_other_versions_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(
        '{"commandArgs": ["a"], "progressMessage": "x", "walltime": "1s"}\n\n'
    )
    assert [each.arguments for each in load(tmp_path / "log")] == [("a",)]


def cut(data: bytes) -> bytes:
    return data[:-3]


@pytest.mark.parametrize("write", [write_binary, write_json])
def test_a_log_that_is_cut_short(tmp_path: Path, write: type) -> None:
    whole = write(tmp_path / "log", SPAWN).stat().st_size
    log = write(tmp_path / "log", SPAWN, SPAWN)
    log.write_bytes(log.read_bytes()[:-3])
    with pytest.raises(ConfigError, match=rf"--exec-log {log}: at byte (\d+): ") as caught:
        load(log)
    offset = int(str(caught.value).partition("at byte ")[2].partition(":")[0])
    assert whole <= offset < 2 * whole


def test_a_compact_log_that_is_damaged(tmp_path: Path) -> None:
    entries = [entry(number, f"path/{number}", b"%d" % number) for number in range(1, 2000)]
    log = write_compact(tmp_path / "log", invocation(), *entries)
    whole = log.read_bytes()
    log.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match=r"at byte \d+ of the decompressed log: truncated zstd"):
        load(log)
    log.write_bytes(whole[:20] + b"\xff" * 20 + whole[40:])
    with pytest.raises(ConfigError, match=r"at byte \d+ of the decompressed log: corrupt zstd"):
        load(log)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"\xff\xff\xff\xff\xff\xff", "at byte 0: the length of an entry"),
        (b"\x05\xff\xff\xff\xff\xff", "at byte 0: not an entry of an execution log"),
        (b"\x00", "at byte 0: an action without a command line"),
        (b"Hello, this is text", "at byte 0: an entry of 72 bytes is cut short after 18"),
        (b'{"commandArgs": [1]}', "at byte 0: not an action"),
        (b'{"commandArgs": ["a"]} x', "at byte 23: not JSON"),
        ('{"commandArgs": ["ü"]}\n{"a'.encode(), "at byte 25: not JSON"),
        (b'{"a": "\xff"}', "at byte 7: not UTF-8"),
    ],
)
def test_files_that_are_no_logs(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "log").write_bytes(data)
    with pytest.raises(ConfigError, match=reason):
        load(tmp_path / "log")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "log")
    with pytest.raises(ConfigError, match="Is a directory"):
        load(tmp_path)
