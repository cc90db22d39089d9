"""``check --executor`` by the single file and by the zipapp, which send what the machines need."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture import Server

from .programs import SHELL_SUITE, Programs, run


def crashing_suite(folder: Path) -> Path:
    """Write a suite of the shell worker that ends in its first request, which few trials show."""
    source = (SHELL_SUITE / "worker.sh").read_text()
    assert "    count=0\n" in source
    (folder / "worker.sh").write_text(source.replace("    count=0\n", "    exit 3\n"))
    shutil.copytree(SHELL_SUITE / "src", folder / "src")
    return Path(shutil.copy(SHELL_SUITE / "suite.toml", folder))


@pytest.mark.parametrize("form", ["file", "zipapp"])
def test_the_findings_of_a_cluster_are_those_at_home(
    programs: Programs, tmp_path: Path, form: str
) -> None:
    suite = crashing_suite(tmp_path)
    select = ["--select", "RPW103", "--no-locate", "--cache", "none", "--format", "json"]
    command = [*programs.command(form), "check", str(suite), *select]
    reports: list[dict[str, Any]] = []
    with Server() as server:
        executor = ["--executor", server.endpoint, "--executor-path", machine(tmp_path, form)]
        for more in ([], executor):
            done = run([*command, *more], tmp_path, programs.environment(), expected=1)
            reports.append(json.loads(done.stdout))
        assert len(server.actions.one_shot()) > 1
        server.assert_no_internal_error()
    home, far = reports
    assert far["findings"] == home["findings"] != []
    assert far["checks"] == home["checks"]


def machine(folder: Path, form: str) -> str:
    """PATH of a machine: the zipapp needs Python there, and the single file nothing."""
    programs = folder / "machine"
    programs.mkdir()
    if form == "zipapp":
        (programs / "python3").symlink_to(Path(sys.executable).resolve())
    return str(programs)
