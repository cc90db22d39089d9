"""``init``: an empty folder, with nothing but the package installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rpw_fixture import cli
from tests.installed_package import clean_environment

EXPECTED = {
    *("BUILD.bazel", "MODULE.bazel", "WORKSPACE", "defs.bzl", "suite.toml", "test_worker.py"),
    *("src/hello.txt", "src/sea.txt", "tools/BUILD.bazel"),
    *("tools/rpw_worker.py", "tools/worker", "tools/worker.py"),
}


def files(folder: Path) -> set[str]:
    return {
        each.relative_to(folder).as_posix()
        for each in folder.rglob("*")
        if each.is_file() and "__pycache__" not in each.parts and ".pytest_cache" not in each.parts
    }


@pytest.mark.parametrize("protocol", ["proto", "json"])
def test_a_start_passes_its_check_and_its_tests(
    installed_python: Path, tmp_path: Path, protocol: str
) -> None:
    folder = tmp_path / "start"
    folder.mkdir()
    environment = clean_environment(installed_python, tmp_path)

    def run(*command: str) -> str:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "suite.toml" in run("rpw-fixture", "init", "--protocol", protocol)
    assert files(folder) == EXPECTED
    few = ("--select", "RPW1,RPW201,RPW202", "--pause", "0")
    assert "no errors" in run("rpw-fixture", "check", "suite.toml", *few)
    assert "4 passed" in run("python", "-m", "pytest", "-q", "-W", "error")
    assert files(folder) == EXPECTED


def test_a_folder_is_made_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["init", str(tmp_path / "a b/c")]) == 0
    assert f"cd '{tmp_path}/a b/c'" in capsys.readouterr().out
    assert files(tmp_path / "a b/c") == EXPECTED
    assert (tmp_path / "a b/c/tools/worker").stat().st_mode & 0o111


def test_what_is_there_is_named_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "suite.toml").write_text("mine")
    (tmp_path / "WORKSPACE").symlink_to("nowhere")
    assert cli.main(["init", str(tmp_path)]) == 2
    assert "already has WORKSPACE, suite.toml; nothing was written" in capsys.readouterr().err
    assert {each.name for each in tmp_path.iterdir()} == {"suite.toml", "WORKSPACE"}
    assert (tmp_path / "suite.toml").read_text() == "mine"


@pytest.mark.parametrize("taken", ["", "tools"])
def test_a_file_in_the_place_of_a_folder_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], taken: str
) -> None:
    folder = tmp_path / "start"
    file = folder / taken
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    assert cli.main(["init", str(folder)]) == 2
    assert f"{file} exists and is no folder" in capsys.readouterr().err
    assert file.read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_what_the_machine_lacks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["init", "/proc/start"]) == 3
    assert "/proc/start" in capsys.readouterr().err


def test_an_unknown_protocol_is_wrong_use() -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["init", "--protocol", "xml"])
