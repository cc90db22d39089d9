"""Reproducers show their finding again, and nothing once the worker is mended."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rpw_fixture.hermeticity import reproducers
from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.findings import Finding, Report
from rpw_fixture.hermeticity.subject import Suite
from rpw_fixture.hermeticity.suite import load
from rpw_fixture.hermeticity.trials import steps
from rpw_fixture.inputs import File

from .samples import SAMPLES, stage

ROOT = SAMPLES.parent
BOTH = "multiplex = true\ncancellation = true\ntimeout = 1"


def found_in(suite: Suite, code: str, folder: Path | None = None) -> Report:
    return check(suite, Options(selected=frozenset([code]), reproducers=folder))


@pytest.mark.parametrize(
    ("code", "script", "told"),
    [
        ("RPW202", "leaky.py", "beta has another result after alpha"),
        ("RPW203", "stale_input.py", "keeps its old result though src/alpha.txt has new content"),
        ("RPW103", "one_read.py", "when the request came in two pieces"),
    ],
)
def test_the_generated_test_fails_until_the_worker_is_mended(
    tmp_path: Path, code: str, script: str, told: str
) -> None:
    suite = load(stage(tmp_path / "suite", script))
    folder = found_in(suite, code, tmp_path / "found").findings[0].reproducer
    assert folder is not None
    before = pytest_in(folder)
    assert before.returncode == 1, before.stdout + before.stderr
    assert told in before.stdout
    shutil.copy(SAMPLES / "python" / "good.py", Path(folder, "tools", script))
    after = pytest_in(folder)
    assert after.returncode == 0, after.stdout + after.stderr


def test_a_worker_with_a_working_directory_of_its_own_has_reproducers(tmp_path: Path) -> None:
    given = load(stage(tmp_path / "suite", "leaky.py"))
    command = ("python3", "../tools/leaky.py")
    worker = dataclasses.replace(given.worker, command=command, working_directory="pkg")
    moved = [
        each.changed("", inputs={f"pkg/{path}": entry for path, entry in each.inputs.items()})
        for each in given.actions
    ]
    report = found_in(Suite(worker=worker, actions=tuple(moved)), "RPW202", tmp_path / "found")
    finding = report.findings[0]
    assert finding.reproducer is not None
    again = found_in(load(Path(finding.reproducer, "suite.toml")), "RPW202")
    assert finding.identity in [each.identity for each in again.findings]


def test_actions_with_other_content_at_one_path_keep_their_own(tmp_path: Path) -> None:
    given = load(stage(tmp_path / "suite", "leaky.py"))
    actions = tuple(
        each.changed("", name=f"pkg/{each.name}", inputs={"in.txt": File(each.name.encode())})
        for each in given.actions
    )
    suite = Suite(worker=given.worker, actions=actions)
    finding = Finding(code="RPW202", victim="pkg/beta", summary="one", history=steps(*actions))
    written = reproducers.write(finding, suite, tmp_path, 1).reproducer
    assert written is not None
    again = load(Path(written, "suite.toml"))
    assert again.worker.tool_inputs == given.worker.tool_inputs
    assert [(each.name, each.inputs) for each in again.actions] == [
        ("pkg_alpha", {"in.txt": File(b"alpha")}),
        ("pkg_beta", {"in.txt": File(b"beta")}),
    ]


def test_an_input_named_like_a_file_of_the_reproducer_is_kept_apart(tmp_path: Path) -> None:
    given = load(stage(tmp_path / "suite", "leaky.py", headers=["alpha"]))
    (action,) = given.actions
    odd = action.changed(
        "", inputs={"suite.toml": File(b"mine"), "a/b": File(b""), "a c": File(b"")}
    )
    finding = Finding(code="RPW202", victim="alpha", summary="one", history=steps(odd))
    written = reproducers.write(
        finding, Suite(worker=given.worker, actions=(odd,)), tmp_path, 1
    ).reproducer
    assert written is not None
    assert load(Path(written, "suite.toml")).actions[0].inputs == dict(sorted(odd.inputs.items()))


def test_names_that_become_one_file_name_are_told_apart(tmp_path: Path) -> None:
    given = load(stage(tmp_path / "suite", "leaky.py"))
    actions = tuple(
        each.changed("", name=name, flagfile="")
        for each, name in zip(given.actions, ("//a/b", "//a_b"), strict=True)
    )
    suite = Suite(worker=given.worker, actions=actions)
    finding = Finding(code="RPW202", summary="one", history=steps(*actions))
    written = reproducers.write(finding, suite, tmp_path, 1).reproducer
    assert written is not None
    again = load(Path(written, "suite.toml"))
    assert [each.name for each in again.actions] == ["a_b", "a_b-2"]


def pytest_in(folder: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
