"""The file of ``--port-file``: whole or not there, and nothing beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpw_fixture.cli.port_file import write_port
from rpw_fixture.errors import EnvironmentLacksError


@pytest.mark.parametrize(
    ("address", "text"),
    [("127.0.0.1:8980", "8980\n"), ("[::1]:80", "80\n"), ("unix:/run/socket", "/run/socket\n")],
)
@pytest.mark.parametrize("before", [None, "old"])
def test_the_port_is_written_for_everybody(
    address: str, text: str, before: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "port"
    if before is not None:
        path.write_text(before)
    write_port(str(path), address)
    assert path.read_text() == text
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder/in").mkdir(parents=True)
    for path, problem in (
        (tmp_path / "absent/port", "No such file or directory"),
        (tmp_path / "folder", "Is a directory"),
    ):
        with pytest.raises(EnvironmentLacksError, match=rf"^--port-file {path}: {problem}"):
            write_port(str(path), "127.0.0.1:1")
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]
