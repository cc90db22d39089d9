"""``check --executor``: trials as ordinary actions of a server of ours that runs elsewhere."""

from __future__ import annotations

import dataclasses
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from rpw_fixture import Server
from rpw_fixture.cli import main
from rpw_fixture.client.existing_server import ExistingServer
from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.findings.codes import expand
from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.hermeticity.trials.far import archive, executor, patience
from rpw_fixture.hermeticity.trials.far.asked_trials import AskedTrials
from rpw_fixture.hermeticity.trials.harness import Harness, cold
from rpw_fixture.hermeticity.trials.trial import (
    Result,
    Trial,
    UnavailableError,
    Variation,
    steps,
)
from rpw_fixture.wire.digests import Digest
from tests.hermeticity.reports import comparable, normal
from tests.hermeticity.samples import stage
from tests.waiting import until

#: The interpreter of this test is python3 there, as at home.
HERE = f"{Path(sys.executable).parent}:/usr/bin:/bin"


@pytest.fixture
def cluster() -> Iterator[Server]:
    with Server(jobs=4) as server:
        yield server
        server.assert_no_internal_error()


def reached(server: Server, path: str = HERE) -> ExistingServer:
    return ExistingServer(endpoint=server.endpoint, search_path=path)


@contextmanager
def harness(suite: Path, server: Server, path: str = HERE, **options: Any) -> Iterator[Harness]:
    with Harness(load(suite), executor=reached(server, path), **options) as running:
        yield running


@pytest.mark.parametrize(
    ("script", "selected"),
    [
        ("leaky.py", "RPW202"),
        ("path_in_output.py", "RPW210"),
        ("ignores_eof.py", "RPW106,RPW207"),
    ],
)
def test_the_findings_are_those_of_a_run_at_home(
    tmp_path: Path, cluster: Server, script: str, selected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", HERE)
    suite = load(stage(tmp_path / "suite", script))
    options = Options(selected=expand(selected), jobs=2, eof_patience=0.5, pause=0.1)
    home = check(suite, options)
    far = check(suite, dataclasses.replace(options, executor=reached(cluster)))
    assert comparable(far) == comparable(home)
    assert far.findings
    assert all(each.carriers for each in far.findings if each.code == "RPW202")
    assert len(cluster.actions.one_shot()) > 3
    assert not cluster.workers


def test_a_result_has_all_that_one_at_home_has(tmp_path: Path, cluster: Server) -> None:
    suite = stage(tmp_path / "suite", "good.py")
    with harness(suite, cluster) as far, Harness(load(suite)) as home:
        action = far.suite.actions[0]
        trials = [
            Trial(history=steps(action, action), is_measured=True),
            cold(action, variation=Variation(prefix=("/usr/bin/env",))),
            cold(action, variation=Variation(factor="umask", umask=0o077)),
        ]
        for trial in trials:
            results = [each.run(trial) for each in (far, home)]
            one, other = map(timeless, results)
            assert one == other
            digest = results[0].outcomes[0].outputs["out/alpha.txt"].partition("/")[0]
            assert any(each.hash == digest for each in far.store.places)  # type: ignore[attr-defined]
        effects = [each.effects(Variation(umask=0o077)) for each in (far, home)]
        assert effects[0]["umask"] == effects[1]["umask"] == 0o077


def timeless(result: Result) -> Result:
    outcomes = tuple(
        dataclasses.replace(each, seconds=0.0, sample=None, stderr=normal(each.stderr))
        for each in result.outcomes
    )
    return dataclasses.replace(result, outcomes=outcomes, trace="", began=0.0, ended=0.0)


FAULTS = (
    ["Execute:UNAVAILABLE:first=2"],
    ["Execute:half-close"],
    ["Execute:RESOURCE_EXHAUSTED:first=1"],
    ["Execute:evict-all:first=1"],
    ["FindMissingBlobs:evict-all:first=3"],
    ["BatchUpdateBlobs:INTERNAL:first=2"],
    ["BatchReadBlobs:evict-all:first=1"],
    ["WaitExecution:UNAVAILABLE:first=1", "Execute:half-close:first=1"],
)


def test_faults_of_the_cluster_do_not_reach_a_result(
    tmp_path: Path, cluster: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "pause", lambda _attempt: 0.01)
    with harness(stage(tmp_path / "suite", "good.py"), cluster) as far:
        for run, faults in enumerate(FAULTS):
            armed = [cluster.faults.arm(each) for each in faults]
            far.store.evict(lambda _digest: True)  # else nothing need be read
            result = far.run(cold(far.suite.actions[0], run=run))
            assert result.outcomes[0].is_as_expected, faults
            digest, _, size = result.outcomes[0].outputs["out/alpha.txt"].partition("/")
            assert far.store.get_or_none(Digest(digest, int(size))), faults
            assert all(each.hits for each in armed), faults
            cluster.faults.clear()


def test_a_cluster_that_stays_away_is_said_and_not_judged(
    tmp_path: Path, cluster: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "pause", lambda _attempt: 0.0)
    with harness(stage(tmp_path / "suite", "good.py"), cluster) as far:
        armed = cluster.faults.arm("Execute:UNAVAILABLE:message=on holiday")
        with pytest.raises(UnavailableError, match=r"no answer: .*on holiday"):
            far.run(cold(far.suite.actions[0]))
        assert armed.hits == patience.ATTEMPTS


def test_what_has_no_answer_is_skipped_with_the_reason(
    tmp_path: Path, cluster: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "pause", lambda _attempt: 0.0)
    program = fake_python(tmp_path, "grep -q is_measured question.json && exit 137")
    report = check(
        load(stage(tmp_path / "suite", "good.py", headers=["alpha"])),
        Options(selected=expand("RPW302"), executor=reached(cluster, program)),
    )
    found = {each.code: each for each in report.checks}
    assert found["RPW302"].status == "skipped"
    assert "the executor gives no answer: the program ended with exit code 137" in (
        found["RPW302"].reason
    )
    assert not [each for each in report.findings if each.code == "RPW302"]


def test_an_action_without_a_result_is_named_and_nothing_has_passed(
    tmp_path: Path, cluster: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "pause", lambda _attempt: 0.0)
    program = fake_python(tmp_path, "ls actions | grep -q . && grep -rq beta actions && exit 9")
    report = check(
        load(stage(tmp_path / "suite", "good.py")),
        Options(selected=expand("RPW101,RPW103"), executor=reached(cluster, program)),
    )
    assert {each.status for each in report.checks} == {"skipped"}
    for each in report.checks:
        assert "1 actions have no result" in each.reason
        assert "beta: the executor gives no answer" in each.reason


def fake_python(folder: Path, command: str) -> str:
    """PATH with a python3 that first runs a shell command, which may exit."""
    (folder / "bin").mkdir()
    program = folder / "bin" / "python3"
    program.write_text(f'#!/bin/sh\n{command}\nexec {sys.executable} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return f"{folder / 'bin'}:/usr/bin:/bin"


def test_a_program_that_dies_once_is_asked_again(
    tmp_path: Path, cluster: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "pause", lambda _attempt: 0.0)
    mark = tmp_path / "mark"
    program = fake_python(tmp_path, f"test -e {mark} && rm {mark} && kill -9 $$")
    with harness(stage(tmp_path / "suite", "good.py"), cluster, program) as far:
        mark.touch()
        assert far.run(cold(far.suite.actions[0])).outcomes[0].is_as_expected
        assert not mark.exists()


@pytest.mark.parametrize(
    ("path", "words"),
    [("/nowhere", "exit code 127: .*python3"), ("old", "needs Python 3.11 or newer")],
)
def test_machines_without_python_are_refused_at_the_start(
    tmp_path: Path, cluster: Server, path: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "pause", lambda _attempt: 0.0)
    if path == "old":
        path = fake_python(tmp_path, "echo needs Python 3.11 or newer >&2; exit 1")
    with (
        pytest.raises(EnvironmentLacksError, match=f"--executor: .*{words}.*--executor-path"),
        harness(stage(tmp_path / "suite", "good.py"), cluster, path),
    ):
        pass


def test_a_variation_that_the_machine_lacks_is_unavailable_as_at_home(
    tmp_path: Path, cluster: Server
) -> None:
    varied = Variation(factor="tracer", prefix=("/no/such/tracer",))
    suite = stage(tmp_path / "suite", "good.py")
    with harness(suite, cluster) as far, Harness(load(suite)) as home:
        said = []
        for each in (far, home):
            with pytest.raises(UnavailableError) as caught:
                each.run(cold(each.suite.actions[0], variation=varied))
            said.append(str(caught.value))
        assert said[0] == said[1]


def test_shared_files_are_uploaded_once(tmp_path: Path, cluster: Server) -> None:
    with harness(stage(tmp_path / "suite", "good.py"), cluster, jobs=8) as far:
        far.run_all([cold(far.suite.actions[0], run=run) for run in range(8)])
    methods = cluster.counters.methods
    program = len(archive.build())
    assert program < methods["BatchUpdateBlobs"].bytes_in < program + 40_000
    assert methods["FindMissingBlobs"].bytes_in < 10_000


def test_a_second_check_asks_the_action_cache_and_confirms_its_findings(
    tmp_path: Path, cluster: Server
) -> None:
    suite = load(stage(tmp_path / "suite", "ignores_eof.py", headers=["alpha"]))
    options = Options(
        selected=expand("RPW106"),
        executor=reached(cluster),
        eof_patience=0.5,
        cache=tmp_path / "none",
    )
    first, second, third = (
        check(suite, dataclasses.replace(options, cache=cache))
        for cache in (options.cache, options.cache, None)
    )
    assert comparable(first) == comparable(second) == comparable(third)
    assert first.trials.run == first.trials.all == third.trials.run
    assert 0 < second.trials.run < first.trials.run
    assert "action cache of grpc://" in second.trials.in_words()
    assert not (tmp_path / "none").exists()


def test_cancelling_ends_what_runs(tmp_path: Path, cluster: Server) -> None:
    with harness(stage(tmp_path / "suite", "good.py"), cluster, jobs=8) as far:
        placed = far._place.trials
        assert isinstance(placed, AskedTrials)
        slow = [dataclasses.replace(each, pause=60.0) for each in steps(*far.suite.actions * 2)]
        trials = [Trial(history=tuple(slow), run=run) for run in range(8)]
        waiting = [placed._ask(each) for each in trials]
        until(lambda: len(running()) >= 2)
        far._place.stop()
        assert all(each.cancelled() for each in waiting)
        until(lambda: not running())


def running() -> list[int]:
    """The workers of trials, which are descendants of this process as the server is in it."""
    found = []
    for each in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            found += [each.pid] if {"tools/good.py", "tools/hanging.py"} & {*each.cmdline()} else []
    return found


def test_ctrl_c_ends_the_operations_and_reports(tmp_path: Path, cluster: Server) -> None:
    suite = stage(tmp_path / "suite", "hanging.py", worker="timeout = 300")
    command = [sys.executable, "-m", "rpw_fixture", "check", suite, "--executor", cluster.endpoint]
    with subprocess.Popen([*command, "--executor-path", HERE], stdout=subprocess.PIPE) as checking:
        until(running)
        checking.send_signal(signal.SIGINT)
        output = checking.communicate()[0].decode()
    assert checking.returncode == 130
    assert "interrupted by SIGINT" in output
    until(lambda: not running())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--executor", "grpc://127.0.0.1:1", "--target", "grpc://127.0.0.1:1"],
            "give one of them",
        ),
        (["--executor-path", "/bin"], "--executor-path is of no use without --executor"),
        (["--platform-property", "a=b"], "of no use without --target or --executor"),
        (["--executor", "grpc://127.0.0.1:1", "--no-cache-silo-key"], "without --target"),
        (["--executor", "nonsense"], "neither grpc://HOST:PORT"),
    ],
)
def test_wrong_use_is_refused(
    tmp_path: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = stage(tmp_path / "suite", "good.py")
    assert main(["check", str(suite), *arguments]) == 2
    assert words in capsys.readouterr().err


def test_no_server_at_the_endpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = stage(tmp_path / "suite", "good.py")
    assert main(["check", str(suite), "--executor", "grpc://127.0.0.1:1"]) == 3
    assert "--executor: no REAPI server answers" in capsys.readouterr().err
