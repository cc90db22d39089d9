"""One request after another to one worker: what belongs to which request."""

import time
from pathlib import Path

import pytest

from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.hermeticity.trials import sequential
from rpw_fixture.hermeticity.trials.harness import Harness
from rpw_fixture.hermeticity.trials.trial import Sample, Trial, steps
from rpw_fixture.hermeticity.trials.worker_session import WorkerSession
from tests.hermeticity.samples import stage
from tests.waiting import until

_MAIN = 'if __name__ == "__main__":\n'


def test_text_of_the_start_belongs_to_the_first_request_of_a_slow_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite_file = stage(tmp_path / "suite", "good.py", headers=["alpha"])
    started = tmp_path / "started"
    tool = suite_file.parent / "tools" / "good.py"
    line = f"print('starting', file=sys.stderr, flush=True); open({str(started)!r}, 'w').close()\n"
    tool.write_text(tool.read_text().replace(_MAIN, line + _MAIN))
    stage_request = sequential.WorkerSetup.stage

    def stage_slowly(*arguments: object, **keywords: object) -> object:
        if is_running:
            until(started.exists)
        is_running.append(True)
        return stage_request(*arguments, **keywords)  # type: ignore[arg-type]

    is_running: list[bool] = []
    monkeypatch.setattr(sequential.WorkerSetup, "stage", stage_slowly)
    suite = load(suite_file)
    with Harness(suite) as harness:
        outcomes = harness.run(Trial(history=steps(*suite.actions * 2))).outcomes
    assert [each.stderr.splitlines() for each in outcomes] == [["starting"], []]


def test_the_time_to_encode_a_request_is_not_the_worker_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine, encoding a large request may take longer than its timeout."""
    suite = load(stage(tmp_path / "suite", "good.py", headers=["alpha"]))
    encoded: list[float] = []
    given: list[float] = []
    send, receive = WorkerSession.send, WorkerSession.receive

    def send_and_note(session: WorkerSession, *arguments: object, **keywords: object) -> None:
        send(session, *arguments, **keywords)  # type: ignore[arg-type]
        encoded.append(time.monotonic())

    def receive_and_note(session: WorkerSession, deadline: float) -> object:
        given.append(deadline - encoded[-1])
        return receive(session, deadline)

    monkeypatch.setattr(WorkerSession, "send", send_and_note)
    monkeypatch.setattr(WorkerSession, "receive", receive_and_note)
    with Harness(suite) as harness:
        harness.run(Trial(history=steps(*suite.actions), timeout=60.0))
    assert given
    assert min(given) >= 60.0


def test_resources_are_measured_at_every_few_requests_of_a_long_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = iter(range(1, 10_000))
    monkeypatch.setattr(
        sequential,
        "sample",
        lambda *_: Sample(memory=next(measured), descriptors=1, threads=1, files=1),
    )
    suite = load(stage(tmp_path / "suite", "good.py", headers=["alpha"]))
    with Harness(suite) as harness:
        trials = [Trial(history=steps(*suite.actions * n), is_measured=True) for n in (100, 600)]
        usual, long = (
            [each.sample.memory for each in harness.run(trial).outcomes if each.sample]
            for trial in trials
        )
    assert usual == [*range(1, 101)]
    assert len(long) == 600
    assert long[:9] == [101, 101, 102, 102, 102, 103, 103, 103, 104]


def test_no_more_requests_are_sent_when_the_time_of_a_history_is_over(tmp_path: Path) -> None:
    suite = load(stage(tmp_path / "suite", "good.py", headers=["alpha"]))
    history = steps(*suite.actions * 9)
    short, whole = Trial(history=history, max_seconds=0.0), Trial(history=history, max_seconds=1e6)
    with Harness(suite) as harness:
        lengths = [len(harness.run(each).outcomes) for each in (short, whole)]
    assert lengths == [1, 9]
