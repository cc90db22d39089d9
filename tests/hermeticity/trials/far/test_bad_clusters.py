"""Clusters that answer late, twice, or nonsense, refuse, or die: results are right or there are none."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from rpw_fixture import Server
from rpw_fixture.cli import main
from rpw_fixture.client.existing_server import ExistingServer
from rpw_fixture.errors import Code, EnvironmentLacksError
from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.findings import diff
from rpw_fixture.hermeticity.findings.codes import expand
from rpw_fixture.hermeticity.progress import ProgressTracker
from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.hermeticity.trials.far import executor, patience, runner
from rpw_fixture.hermeticity.trials.harness import Harness, cold
from rpw_fixture.hermeticity.trials.trial import Step, Trial, UnavailableError
from tests.hermeticity.samples import stage
from tests.hermeticity.trials.far import bad_cluster
from tests.hermeticity.trials.far.bad_cluster import BadCluster, Way
from tests.server_process import ServerProcess
from tests.waiting import until

from .test_executor import HERE

LEAKS = Options(selected=expand("RPW202"), pause=0.0, locates=False, jobs=2)


def at(server: ServerProcess) -> ExistingServer:
    return ExistingServer(endpoint=server.endpoint, search_path=HERE)


@pytest.fixture(autouse=True)
def asked_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "pause", lambda _attempt: 0.0)


@contextmanager
def harness(folder: Path, *ways: Way) -> Iterator[tuple[Harness, BadCluster]]:
    """A harness whose trials a bad cluster executes."""
    suite = load(stage(folder, "good.py", headers=["alpha"]))
    with BadCluster(*ways).serving() as cluster:
        server = ExistingServer(endpoint=cluster.endpoint)
        with Harness(suite, executor=server) as running:
            yield running, cluster


def test_an_answer_that_comes_after_the_deadline_is_not_waited_for_nor_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_START", 0.0)
    monkeypatch.setattr(executor, "_QUEUE", 0.3)
    with harness(tmp_path / "suite", bad_cluster.late) as (far, cluster):
        monkeypatch.setattr(runner, "_seconds", lambda _trial, _worker: 0.1)
        result = far.run(cold(far.suite.actions[0]))
        assert result.outcomes[0].exit_code == 0
        until(lambda: cluster.cancelled == ["trial-0"])
        cluster.released.set()
        assert far.run(cold(far.suite.actions[0])).outcomes[0].exit_code == 0
        assert cluster.executed == ["trial-0", "trial-1"]


def test_a_stream_that_something_between_cuts_off_is_taken_up_again(tmp_path: Path) -> None:
    with harness(tmp_path / "suite", bad_cluster.cut_off) as (far, cluster):
        assert far.run(cold(far.suite.actions[0])).outcomes[0].exit_code == 0
        assert cluster.executed == ["trial-0"]
        assert not cluster.cancelled
        assert "WaitExecution" in {name for name, _ in cluster.calls}


def test_an_action_that_was_executed_twice_has_one_result(tmp_path: Path) -> None:
    with harness(tmp_path / "suite", bad_cluster.twice) as (far, cluster):
        trial = cold(far.suite.actions[0])
        results = far.run_all([trial, trial])
        assert [each.outcomes[0].exit_code for each in results] == [0, 0]
        assert cluster.executed == ["trial-0"]
        assert (far.book.trials, far.book.worker_starts, far.book.requests) == (1, 1, 1)


@pytest.mark.parametrize("way", [bad_cluster.garbled, bad_cluster.foreign])
def test_an_answer_to_another_question_is_none(tmp_path: Path, way: Way) -> None:
    with harness(tmp_path / "suite", way) as (far, cluster):
        assert far.run(cold(far.suite.actions[0])).outcomes[0].exit_code == 0
        assert len(cluster.executed) == 2
        cluster.ways += [way] * 50
        with pytest.raises(UnavailableError, match=r"gives no answer: .*(no answer|can't be read)"):
            far.run(cold(far.suite.actions[0], run=1))


@pytest.mark.parametrize("code", [Code.FAILED_PRECONDITION, Code.INVALID_ARGUMENT])
def test_a_refused_trial_is_not_asked_again_and_its_codes_are_skipped(
    tmp_path: Path, code: Code
) -> None:
    suite = load(stage(tmp_path / "suite", "good.py", headers=["alpha"]))
    refusing = [bad_cluster.refusing(code)] * 100
    with BadCluster(bad_cluster.good, *refusing).serving() as cluster:
        server = ExistingServer(endpoint=cluster.endpoint, platform={"Pool": "big"})
        selected = expand("RPW103,RPW202,RPW302")
        report = check(suite, Options(selected=selected, executor=server, pause=0.0))
        assert report.findings == ()
        assert {each.status for each in report.checks} == {"skipped"}
        for each in report.checks:
            assert f"{code.name}: no machine has Pool=big" in each.reason
        actions = [
            request.action_digest.hash for name, request in cluster.calls if name == "Execute"
        ]
        assert len(actions) == len(set(actions))
        cluster.ways[:] = refusing
        with pytest.raises(EnvironmentLacksError, match=r"no action has a result: alpha: .*big"):
            check(suite, Options(selected=selected, executor=server))


def test_a_server_that_knows_no_such_property_is_said_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = stage(tmp_path / "suite", "good.py", headers=["alpha"])
    with ServerProcess("--known-property", "OSFamily") as server:
        arguments = ["check", str(suite), "--executor", server.endpoint]
        assert main([*arguments, "--platform-property", "Pool=big"]) == 3
    said = capsys.readouterr().err
    assert "--executor: " in said
    assert "'Pool'" in said
    assert "--platform-property" in said


def test_an_executor_that_dies_and_comes_back_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = load(stage(tmp_path / "suite", "good.py", headers=["alpha"]))
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(ServerProcess())
        others: list[ServerProcess] = []

        def restart(attempt: int) -> float:
            if not others:
                another = ServerProcess("--listen", first.address)
                others.append(stack.enter_context(another))
            return patience.pause(attempt)

        monkeypatch.setattr(executor, "pause", restart)
        far = stack.enter_context(Harness(suite, executor=at(first)))
        waiting = Step(action=suite.actions[0], pause=0.5)
        trial = Trial(history=(waiting, waiting))
        far.begin(trial)
        until(lambda: workers_below(first))
        first.kill()
        assert [each.is_as_expected for each in far.run(trial).outcomes] == [True, True]
    assert others


def workers_below(server: ServerProcess) -> list[int]:
    """The workers of trials that run on a server."""
    found = []
    for each in psutil.Process(server.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            found += [each.pid] if "tools/good.py" in each.cmdline() else []
    return found


class Killing(ProgressTracker):
    """Kills a server after some worker starts, in the middle of a check."""

    def __init__(self, server: ServerProcess, after: int) -> None:
        super().__init__()
        self._server, self._after = server, after

    def count(self, starts: int, requests: int) -> None:
        super().count(starts, requests)
        if self._after and starts >= self._after:
            self._after = 0
            self._server.kill()


def test_an_executor_that_dies_for_good_leaves_codes_skipped(tmp_path: Path) -> None:
    suite = load(stage(tmp_path / "suite", "leaky.py"))
    with ServerProcess() as server:
        report = check(suite, replace(LEAKS, executor=at(server), progress=Killing(server, 3)))
    (state,) = report.checks
    assert (report.findings, state.status) == ((), "skipped")
    assert "the executor gives no answer: " in state.reason


def test_content_that_the_cluster_has_lost_is_named_by_its_size(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "good.py", headers=["alpha"])
    (suite.parent / "src" / "alpha.txt").write_text("text\n" * 20_000)
    with Server() as cluster:
        server = ExistingServer(endpoint=cluster.endpoint, search_path=HERE)
        with Harness(load(suite), executor=server) as far:
            outcome = far.run(cold(far.suite.actions[0])).outcomes[0]
            for name in ("BatchReadBlobs", "ByteStream.Read"):
                cluster.faults.arm(f"{name}:NOT_FOUND")
            other = replace(outcome, outputs={"out/alpha.txt": None})
            told = diff.explain(outcome, other, ["out/alpha.txt"], far.store, ("cold", "warm"))
    assert re.fullmatch(r"out/alpha.txt: .*1\d{5} bytes.* \(cold\), absent \(warm\)", told)
