from __future__ import annotations

import os
from pathlib import Path

import pytest

from rpw_fixture.launching import executable


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """bin/tool and here are executable, bin/plain is not, bin/folder is a folder."""
    (tmp_path / "bin/folder").mkdir(parents=True)
    (tmp_path / "later").mkdir()
    for name in ("bin/tool", "here", "later/tool", "later/plain"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "bin/plain").write_text("")
    (tmp_path / "bin/link").symlink_to("tool")
    (tmp_path / "bin/dangling").symlink_to("nothing")
    return tmp_path


def find(name: str, work: Path, path: str | None = None) -> str:
    environment = {} if path is None else {"PATH": path}
    return os.path.relpath(executable.find(name, environment, str(work)), work)


@pytest.mark.parametrize("name", ["bin/tool", "./here", "bin/link", "bin/../here"])
def test_a_name_with_a_slash_is_relative_to_the_working_directory(name: str, work: Path) -> None:
    assert executable.find(name, {"PATH": "/"}, str(work)) == f"{work}/{name}"


def test_an_absolute_name_stands_for_itself(work: Path) -> None:
    assert executable.find(f"{work}/here", {}, "/nowhere") == f"{work}/here"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("bin:later", "bin/tool"),
        ("later:bin", "later/tool"),
        ("/nowhere:later", "later/tool"),
        ("bin/plain:later", "later/tool"),
    ],
)
def test_a_bare_name_is_looked_up_in_the_commands_own_path(
    path: str, found: str, work: Path
) -> None:
    assert find("tool", work, path) == found


def test_what_is_no_executable_file_is_passed_over_in_the_path(work: Path) -> None:
    assert find("plain", work, "bin:later") == "later/plain"


def test_an_empty_entry_of_the_path_is_the_working_directory(work: Path) -> None:
    assert find("here", work, "bin:") == "here"
    assert find("here", work, "") == "here"


def test_without_a_path_the_systems_default_is_searched(work: Path) -> None:
    assert executable.find("sh", {}, str(work)).endswith("bin/sh")


def test_the_path_of_this_process_is_never_searched(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{work}/bin")
    with pytest.raises(FileNotFoundError, match="the command sets no PATH"):
        executable.find("tool", {}, str(work))


@pytest.mark.parametrize("name", ["tool2", "folder", "dangling", "..", ""])
def test_a_bare_name_that_is_not_found_is_reported(name: str, work: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"^{name}: command not found in PATH"):
        find(name, work, "bin")


@pytest.mark.parametrize("name", ["bin/nothing", "bin/dangling", "nothing/tool", "bin/tool/x"])
def test_a_path_that_does_not_exist_is_reported(name: str, work: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"^{name}: no such file"):
        find(name, work)


@pytest.mark.parametrize("name", ["bin/plain", "bin/folder", "./"])
def test_a_path_that_can_not_be_executed_is_reported(name: str, work: Path) -> None:
    with pytest.raises(PermissionError, match=f"^{name}: not executable"):
        find(name, work)
