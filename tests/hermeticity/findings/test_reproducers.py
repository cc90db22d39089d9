"""Reproducers show their finding again, and nothing once the worker is fixed."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from rpw_fixture.client.inputs import File
from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.findings import history_file, reproducers
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.findings.history_file import History
from rpw_fixture.hermeticity.findings.report import Report
from rpw_fixture.hermeticity.suites.suite import Suite
from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.hermeticity.trials.trial import (
    Delivery,
    Interruption,
    Listing,
    Predecessor,
    RunMode,
    Step,
    Trial,
    Variation,
    steps,
)
from tests.hermeticity.samples import SAMPLES, stage

ROOT = SAMPLES.parent
BUGS = (
    ("RPW202", "leaky.py", "after alpha, beta gives a different result than in a fresh worker"),
    (
        "RPW203",
        "stale_input.py",
        "src/alpha.txt has new content, but alpha still gives the old result",
    ),
    ("RPW118", "one_read.py", "when its request arrives in two pieces, alpha fails: crash"),
)


def test_what_was_edited_is_said_before_what_differed(tmp_path: Path) -> None:
    report = found_in(load(stage(tmp_path / "suite", "stale_input.py")), "RPW203")
    first, *_ = report.findings[0].evidence.splitlines()
    assert re.fullmatch(r"check edited alpha: \d+ bytes? of src/alpha.txt changed", first), first


def found_in(suite: Suite, code: str, folder: Path | None = None) -> Report:
    options = Options(selected=frozenset([code]), reproducers=folder, locates=False)
    return check(suite, options)


def test_generated_tests_fail_until_their_workers_are_fixed(tmp_path: Path) -> None:
    """All in one run of pytest, as its start takes longer than they do."""
    folders = {script: reproducer_of(tmp_path / code, code, script) for code, script, _ in BUGS}
    before = pytest_in(folders.values())
    assert before.returncode == 1, before.stdout + before.stderr
    assert f"{len(BUGS)} failed" in before.stdout
    for _, _, told in BUGS:
        assert told in before.stdout
    for script, folder in folders.items():
        shutil.copy(SAMPLES / "python" / "good.py", folder / "tools" / script)
    after = pytest_in(folders.values())
    assert after.returncode == 0, after.stdout + after.stderr
    assert f"{len(BUGS)} passed" in after.stdout


def reproducer_of(place: Path, code: str, script: str) -> Path:
    suite = load(stage(place / "suite", script))
    folder = found_in(suite, code, place / "found").findings[0].reproducer
    assert folder is not None
    return Path(folder)


def test_a_worker_with_another_working_directory_has_reproducers(tmp_path: Path) -> None:
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


def test_actions_with_other_content_at_one_path_keep_their_contents(tmp_path: Path) -> None:
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


def test_names_that_become_one_file_name_are_distinguished(tmp_path: Path) -> None:
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


def pytest_in(folders: Iterable[Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *folders],
        cwd=next(iter(folders)),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_any_requests_are_a_loop_and_binary_inputs_are_kept(tmp_path: Path) -> None:
    given = load(stage(tmp_path / "suite", "leaky.py"))
    alpha, beta = given.actions
    changed = alpha.with_content("src/alpha.txt", b"\xff\x00").without_input("src/alpha.txt")
    odd = alpha.with_content("src/alpha.txt", b"\xff\x00")
    history = (
        *steps(*[alpha] * 25),
        Step(action=odd, listing=Listing.NONE, delivery=Delivery.DRIBBLED),
        Step(action=changed, planted=(("out/x", b"\xfe"), ("y", b"text")), is_extended=True),
        *steps(beta),
    )
    variation = Variation(
        factor="x", environment=(("A", "b"),), umask=0o77, steps=(("rename_host", "elsewhere"),)
    )
    mode = RunMode.OVERLAPPING
    finding = Finding(
        code="RPW202", summary='"x\\"', history=history, variation=variation, mode=mode
    )
    written = reproducers.write(finding, given, tmp_path, 1, is_replayed=True).reproducer
    assert written is not None
    folder = Path(written)
    requests = json.loads((folder / "history.json").read_text())["requests"]
    assert requests[0] == {"times": 25, "action": "alpha"}
    assert len(requests) == 4
    again = history_file.read(folder, load(folder / "suite.toml"))
    assert again == History("RPW202", history, variation, mode)
    assert (
        "25 × alpha, alpha (14 bytes of src/alpha.txt changed), alpha (without src/alpha.txt), beta"
        in (next(folder.glob("test_*.py")).read_text())
    )


def test_earlier_workers_and_the_inputs_at_start_up_are_kept(tmp_path: Path) -> None:
    given = load(stage(tmp_path / "suite", "leaky.py", headers=("alpha", "beta", "gamma")))
    alpha, beta, gamma = given.actions
    killed = Predecessor(
        history=steps(alpha, alpha, beta), interruption=Interruption.AT_WORK, delay=0.25
    )
    trial = Trial(
        history=steps(gamma),
        predecessors=(killed, Predecessor(history=steps(beta))),
        started_with=gamma.with_content("src/gamma.txt", b"other"),
    )
    finding = Finding(code="RPW215", summary="one", history=steps(beta, gamma), trial=trial)
    written = reproducers.write(finding, given, tmp_path, 1, is_replayed=True).reproducer
    assert written is not None
    folder = Path(written)
    again = history_file.read(folder, load(folder / "suite.toml"))
    assert again == History.of(finding)
    assert [each.action.name for each in again.all_steps] == [
        *("alpha", "alpha", "beta", "beta", "gamma")
    ]
    words = (
        "Requests to an earlier worker: alpha, alpha, beta; Requests to an earlier worker: beta; The "
        "worker starts with the inputs of gamma (14 bytes of src/gamma.txt changed); Requests to one "
        "worker: gamma."
    )
    assert words in next(folder.glob("test_*.py")).read_text()


def test_a_history_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    suite = load(stage(tmp_path / "suite", "leaky.py"))
    no_mode = '{"code": "RPW202", "requests": [], "environment": {}, "mode": "BACKWARDS"}'
    for text in ("", "[]", '{"requests": [{"action": "gone", "times": 1}]}', no_mode):
        (tmp_path / "history.json").write_text(text)
        with pytest.raises(ConfigError, match=r"history\.json: does not fit the suite"):
            history_file.read(tmp_path, suite)
