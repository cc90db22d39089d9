"""The README and the pages under docs/, followed where there is only the package: no checkout, no conftest.

test_check_page.py follows docs/check.md.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.installed_package import clean_environment
from tests.server_process import ServerProcess

from .test_snippets import ROOT, our_commands, snippets, with_snippets

README = ROOT / "README.md"


def servers() -> list[str]:
    """Commands that start a server."""
    return [line for line in our_commands() if line.split("rpw_fixture ")[-1].startswith("--")]


@pytest.mark.parametrize("page", with_snippets("python"), ids=lambda page: page.stem)
def test_the_python_of_a_page_passes_as_a_test(
    page: Path, installed_python: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    name = f"test_{page.stem.replace('-', '_').lower()}.py"
    (folder / name).write_text("\n\n".join(snippets(page, "python")), encoding="utf-8")
    done = _run([str(installed_python), "-m", "pytest", "-q", "-W", "error"], folder, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    is_bazel_missing = shutil.which("bazel") is None and " skipped" in done.stdout
    assert " passed" in done.stdout or is_bazel_missing


def test_the_suite_of_the_readme_fits_what_init_writes(
    installed_python: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "start"
    assert _run(["rpw-fixture", "init", str(folder)], tmp_path, tmp_path, installed_python).stdout
    (suite,) = snippets(README, "toml")
    (folder / "suite.toml").write_text(suite, encoding="utf-8")
    lines = [line for snippet in snippets(README, "sh") for line in snippet.splitlines()]
    checks = [line for line in lines if " check suite.toml" in line or " --explain " in line]
    assert len(checks) >= 2
    for line in checks:
        # The worker has no leak; all other codes have tests that take longer.
        few = [] if "--explain" in line else ["--select", "RPW1,RPW202", "--pause", "0"]
        done = _run([*shlex.split(line), *few], folder, tmp_path, installed_python)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("line", servers())
def test_a_server_of_a_page_starts_and_ends(
    line: str, installed_python: Path, tmp_path: Path
) -> None:
    words = shlex.split(line.removesuffix("&"))
    words[0] = str(installed_python)
    command = ["127.0.0.1:0" if each == "127.0.0.1:8980" else each for each in words]
    listen = [] if "--listen" in command else ["--listen", "127.0.0.1:0"]
    environment = clean_environment(installed_python, tmp_path)
    with ServerProcess(*listen, command=command, environment=environment, cwd=tmp_path) as server:
        assert server.endpoint.startswith("grpc://127.0.0.1:")
        assert server.stop() == 0


def test_nothing_of_the_checkout_is_seen(installed_python: Path, tmp_path: Path) -> None:
    program = "import rpw_fixture, sys; print(rpw_fixture.__file__, *sys.path)"
    done = _run([str(installed_python), "-c", program], tmp_path, tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(ROOT) not in done.stdout
    assert sys.prefix not in done.stdout


def _run(
    command: list[str], folder: Path, home: Path, python: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = clean_environment(python or Path(command[0]), home)
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
