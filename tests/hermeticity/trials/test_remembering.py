"""Results that are remembered between programs: which are stored, which are read, and with which paths."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials import remembering
from rpw_fixture.hermeticity.trials.experiment import Experiment
from rpw_fixture.hermeticity.trials.remembering import RememberingRunner
from rpw_fixture.hermeticity.trials.result_store import ResultStore
from rpw_fixture.hermeticity.trials.trial import BASE, Outcome, Result, Trial, steps
from rpw_fixture.storage.cas import Cas
from rpw_fixture.wire.digests import SHA256, DigestFunctions

ONE, OTHER = (SuiteAction(name=name, arguments=(), outputs=("out",)) for name in ("one", "other"))
TRIAL = Trial(history=steps(ONE, OTHER))
CONTENT = b"content"


class Inner:
    """A runner that counts its runs."""

    def __init__(self) -> None:
        self.runs: list[Trial] = []
        self.result: Any = None

    def run(self, trial: Trial, folder: Path) -> Result:
        assert folder.name == "trial"
        self.runs.append(trial)
        return self.result  # type: ignore[no-any-return]

    def effects(self, variation: object, folder: Path) -> dict[str, object]:
        return {"variation": variation, "folder": folder}

    def check_layouts(self, actions: tuple[SuiteAction, ...]) -> None:
        raise KeyError(actions)


class Keys:
    """Keys of trials by what they are."""

    @staticmethod
    def of(trial: Trial) -> str:
        return SHA256.of(repr(trial).encode()).hash


class Program:
    """A program that runs trials below a folder, with results that outlive it."""

    def __init__(self, folder: Path, results: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.cas = Cas(
            DigestFunctions(["SHA256"]),
            folder=folder / "cas",
            memory_bytes=1 << 20,
            spill_threshold=1 << 10,
            max_bytes=1 << 20,
            durable=False,
        )
        self.store = self.cas.store(SHA256)
        self.inner = Inner()
        keys: Any = Keys()
        self.results = ResultStore(results)
        self.runner = RememberingRunner(self.inner, self.results, keys, self.store, folder)

    def result(self, content: bytes = CONTENT, **values: Any) -> Result:
        """A result with an output of some content."""
        outputs = {"out": str(self.store.put(content))}
        outcomes = [
            Outcome(step=step, exit_code=0, response="", outputs=outputs) for step in TRIAL.history
        ]
        return Result(outcomes=tuple(outcomes), **values)

    def run(self, trial: Trial = TRIAL) -> Result:
        return self.runner.run(trial, self.folder / "trial")


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[list[Program]]:
    """Two programs, one after the other, in folders of different names."""
    made = [Program(tmp_path / name, tmp_path / "results") for name in ("first", "the second")]
    yield made
    for each in made:
        with contextlib.closing(each.cas):
            each.results.close()


def test_a_result_is_remembered_by_the_next_program(programs: list[Program]) -> None:
    first, second = programs
    first.inner.result = result = first.result()
    assert first.run() is result
    first.runner.keep(TRIAL, result)
    found = second.run()
    assert found == replace(result, is_remembered=True)
    assert second.inner.runs == []
    assert second.store.get(SHA256.of(CONTENT)) == CONTENT
    second.inner.result = None
    assert second.run(Trial(history=steps(OTHER))) is None
    assert len(second.inner.runs) == 1


def test_a_trial_that_is_asked_afresh_is_run(programs: list[Program]) -> None:
    first, second = programs
    first.runner.keep(TRIAL, first.result())
    second.runner.ask_afresh(TRIAL)
    second.inner.result = second.result(b"other")
    assert second.run() is second.inner.result
    second.runner.keep(TRIAL, second.inner.result)
    assert first.run().outcomes == second.inner.result.outcomes


def test_nothing_is_remembered_where_it_can_not_be_trusted(programs: list[Program]) -> None:
    first, second = programs
    first.runner.is_trusting = False
    first.runner.keep(TRIAL, first.result())
    assert second.run() is None
    second.runner.keep(TRIAL, second.result())
    first.inner.result = first.result()
    assert first.run() is first.inner.result
    first.runner.is_trusting = True
    assert first.run().is_remembered


def test_an_experiment_is_run_each_time(programs: list[Program]) -> None:
    first, second = programs
    trial = replace(TRIAL, experiment=Experiment())
    first.runner.keep(trial, first.result())
    assert second.run(trial) is None
    assert second.inner.runs == [trial]


def test_what_was_remembered_is_not_stored_again(
    programs: list[Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = programs
    monkeypatch.setattr(first.results, "write_result", pytest.fail)
    first.runner.keep(TRIAL, first.result(is_remembered=True))


@pytest.mark.parametrize(
    ("count", "failure", "limit", "is_stored"),
    [(2, "", 5.0, True), (1, "", 5.0, False), (1, "crash", 5.0, True), (1, "", None, True)],
)
def test_a_trial_that_a_time_limit_cut_short_is_not_stored(
    count: int, failure: str, limit: float | None, is_stored: bool, programs: list[Program]
) -> None:
    first, second = programs
    trial = replace(TRIAL, max_seconds=limit)
    result = first.result()
    outcomes = (*result.outcomes[: count - 1], replace(result.outcomes[0], failure=failure))
    if count == 2:
        outcomes = result.outcomes
    first.runner.keep(trial, replace(result, outcomes=outcomes))
    assert (second.run(trial) is not None) is is_stored


def test_results_are_not_stored_any_more_once_that_failed(
    programs: list[Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = programs

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(first.results, "write_blob", fail)
        assert first.runner.problem == ""
        first.runner.keep(TRIAL, first.result())
    assert first.runner.problem == "results are not stored any more: No space left on device"
    first.runner.keep(TRIAL, first.result())
    assert second.run() is None


@pytest.mark.parametrize(("most", "is_stored"), [(len(CONTENT), True), (len(CONTENT) - 1, False)])
def test_a_large_result_is_not_stored(
    most: int, is_stored: bool, programs: list[Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert remembering._MOST == 256 << 20
    monkeypatch.setattr(remembering, "_MOST", most)
    first, second = programs
    first.runner.keep(TRIAL, first.result())
    assert (second.run() is not None) is is_stored


def test_a_document_that_can_not_be_read_is_forgotten(programs: list[Program]) -> None:
    first, second = programs
    key = Keys.of(TRIAL)
    first.results.write_result(key, b"no document")
    assert second.run() is None
    assert second.results.read_result(key) is None


def test_a_result_whose_content_is_gone_is_run_again(
    programs: list[Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = programs
    first.runner.keep(TRIAL, first.result())
    with monkeypatch.context() as patch:
        patch.setattr(second.results, "read_blob", lambda _: None)
        assert second.run() is None
        second.store.put(CONTENT)
        assert second.run() is not None


def test_paths_of_a_program_s_folder_are_those_of_the_next_one(programs: list[Program]) -> None:
    first, second = programs
    result = first.result()
    outcome = replace(result.outcomes[0], detail=f"{first.folder}/root/a", strays=("stray",))
    first.runner.keep(TRIAL, replace(result, outcomes=(outcome, result.outcomes[1])))
    found = second.run().outcomes[0]
    assert (found.detail, found.strays) == (f"{second.folder}/root/a", ("stray",))


def test_an_output_with_the_folder_of_a_program_is_not_stored(programs: list[Program]) -> None:
    first, second = programs
    first.runner.keep(TRIAL, first.result(str(first.folder).encode()))
    assert second.run() is None


def test_the_record_of_a_tracer_has_the_paths_of_its_program(programs: list[Program]) -> None:
    first, second = programs
    trace = first.folder / "trace"
    for number in range(2):
        trace.write_text(f"open {first.folder}/root/{number}\n")
        trial = replace(TRIAL, run=number)
        first.runner.keep(trial, first.result(trace=str(trace)))
    assert trace.read_text() == f"open {first.folder}/root/1\n"
    traces = [second.run(replace(TRIAL, run=number)).trace for number in range(2)]
    assert len(set(traces)) == 2
    for number, path in enumerate(traces):
        assert Path(path).read_text() == f"open {second.folder}/root/{number}\n"
        assert Path(path).parent == second.folder


def test_everything_else_is_the_other_runner_s(programs: list[Program]) -> None:
    runner = programs[0].runner
    assert runner.effects(BASE, Path("/x")) == {"variation": BASE, "folder": Path("/x")}
    with pytest.raises(KeyError):
        runner.check_layouts((ONE,))
