"""What the harness remembers, and where it runs trials."""

from pathlib import Path

from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.hermeticity.trials.harness import Harness, cold
from rpw_fixture.hermeticity.trials.trial import Trial, steps
from tests.hermeticity.samples import stage
from tests.waiting import until


def test_answers_before_a_late_end_are_known_without_another_run(tmp_path: Path) -> None:
    suite = load(stage(tmp_path / "suite", "over_time.py", "--bug=crash", "--at=4"))
    alpha = suite.actions[0]
    with Harness(suite) as harness:
        long = harness.run(Trial(history=steps(*[alpha] * 9), is_measured=True)).outcomes
        assert [each.failure for each in long] == ["", "", "", "crash"]
        for count in (1, 2, 3, 4):
            assert harness.run(Trial(history=steps(*[alpha] * count))).outcomes == long[:count]
        assert harness.book.worker_starts == 1


def test_what_a_longer_trial_shows_meanwhile_is_not_run_ahead(tmp_path: Path) -> None:
    suite = load(stage(tmp_path / "suite", "good.py"))
    alpha, beta = suite.actions
    begun = [Trial(history=steps(alpha, beta)), cold(alpha), cold(beta)]
    with Harness(suite, jobs=2) as harness:
        harness.begin_ahead(begun)
        until(lambda: begun[-1] in [trial for trial, _ in harness.book.results])
        assert [trial for trial, _ in harness.book.results] == [begun[0], begun[-1]]


def test_trials_run_in_one_path_or_side_by_side(tmp_path: Path) -> None:
    suite = load(stage(tmp_path / "suite", "path_in_output.py"))
    alpha, beta = suite.actions
    with Harness(suite, jobs=2) as harness:
        first = harness.run(cold(alpha)).outcomes[0]
        harness.use_one_path()
        assert harness.jobs == 1
        assert harness.book.worker_starts == 1
        again = harness.run_all([cold(alpha), cold(alpha, run=1), cold(beta)])
        assert harness.book.worker_starts == 4
        assert again[0].outcomes[0].outputs == again[1].outcomes[0].outputs == first.outputs
        waiting = Trial(history=steps(alpha, beta))
        harness.begin(waiting)
        assert harness.run(waiting).outcomes[0].outputs == first.outputs
        harness.use_all_paths()
        assert harness.jobs == 2
        assert len(harness.run_all([cold(each, run=2) for each in (alpha, beta)])) == 2


def test_a_worker_that_is_known_not_to_end_is_not_waited_for(tmp_path: Path) -> None:
    suite = load(stage(tmp_path / "suite", "ignores_eof.py", headers=["alpha"]))
    with Harness(suite) as harness:
        harness.book.ignores_eof = True
        result = harness.run(Trial(history=steps(suite.actions[0]), eof_patience=0.25))
        assert not result.ending.is_by_itself
        assert [trial.eof_patience for trial, _ in harness.book.results] == [0.25]
