"""One request after another to one worker: what belongs to which request."""

from pathlib import Path

import pytest

from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.hermeticity.trials import sequential
from rpw_fixture.hermeticity.trials.harness import Harness
from rpw_fixture.hermeticity.trials.trial import Sample, Trial, steps
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
