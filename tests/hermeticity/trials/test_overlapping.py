"""Requests that overlap, to a worker that is made up: what is sent, awaited and looked at, and when."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials import overlapping, snapshot
from rpw_fixture.hermeticity.trials.overlapping import Hooks
from rpw_fixture.hermeticity.trials.trial import Cancel, Delivery, Result, Step, Trial
from rpw_fixture.hermeticity.trials.worker_session import TIMEOUT, Failure
from rpw_fixture.support.beneath import OwnFolder
from rpw_fixture.wire.worker.messages import Response

ACTIONS = [SuiteAction(name=name, arguments=(), outputs=("out",)) for name in "abc"]


class Session:
    """A worker that answers as the test says, and notes what is done."""

    def __init__(self, answers: list[Any]) -> None:
        self.answers = answers
        self.done: list[Any] = []
        self.late: Failure | None = None

    def send(self, request: str, *, delivery: Delivery) -> None:
        self.done.append(
            f"send {request}" if delivery is Delivery.WHOLE else f"{delivery.name} {request}"
        )

    def cancel(self, number: int) -> None:
        self.done.append(f"cancel {number}")

    def hand_over(self, _deadline: float) -> None:
        self.done.append("hand over")

    def receive(self, _deadline: float) -> Any:
        self.done.append("receive")
        return self.answers.pop(0)

    def listen(self, _seconds: float) -> Failure | None:
        self.done.append("listen")
        return self.late

    def finish(self, patience: float) -> str:
        self.done.append(f"finish {patience:g}")
        return "ending"


class Setup:
    """The worker's setup, with one input root for all requests or a sandbox for each."""

    def __init__(self, session: Session, *, sandbox: bool) -> None:
        self.session = session
        self.worker = SimpleNamespace(sandbox=sandbox, multiplex=True, timeout=60.0)
        self.tools = SimpleNamespace(root="tools", parents="tool parents")
        self.store = "store"
        self.sandboxes: list[str] = []

    def laid_out(self, action: SuiteAction) -> Any:
        return SimpleNamespace(root=action.name, parents=f"{action.name} parents", outputs=("out",))

    @contextmanager
    def started(self, _folder: object, variables: object) -> Iterator[Session]:
        self.session.done.append(f"start {variables}")
        yield self.session
        self.session.done.append("left")

    def request(
        self, _layout: Any, step: Step, number: int, *, request_id: int, sandbox: str
    ) -> str:
        assert request_id == number
        self.sandboxes.append(sandbox)
        return step.action.name

    def look(self, _root: object, _before: object, _layout: object) -> Any:
        return SimpleNamespace(
            outputs={"out": "digest"}, changed_inputs=("in",), strays=("out/x", "output", "stray")
        )


class Run:
    """A trial's run, with everything that was done in it."""

    def __init__(self, path: Path, answers: list[Any], *, sandbox: bool = False) -> None:
        self.session = Session(answers)
        self.setup: Any = Setup(self.session, sandbox=sandbox)
        self.path = path
        self.staged: list[tuple[str, ...]] = []
        self.hooks = Hooks(
            variables={"A": "1"},
            at_start=lambda _: self.session.done.append("at start"),
            at_overlap=lambda _: self.session.done.append("at overlap"),
            at_end=lambda: self.session.done.append("at end"),
        )

    def __call__(self, *steps: Step, **how: Any) -> Result:
        with OwnFolder(str(self.path)) as own:
            (self.path / "root").mkdir(exist_ok=True)
            root = own.at("root")
            staging = SimpleNamespace(stage=lambda *given: self.staged.append(("root", *given)))
            folder: Any = SimpleNamespace(input_root=root, root=root.path, staged=staging)
            return overlapping.run(self.setup, Trial(history=steps, **how), folder, self.hooks)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlapping, "LATE", 0.0)
    merged = SimpleNamespace(root="merged", parents="merged parents")
    monkeypatch.setattr(overlapping.input_tree, "merged", lambda _: merged)


def answers(*numbers: int) -> list[Any]:
    return [Response(request_id=number, exit_code=0, output="") for number in numbers]


def steps(**values: Any) -> list[Step]:
    return [Step(action=each, **values) for each in ACTIONS]


def test_all_requests_are_sent_before_any_response_is_read(tmp_path: Path) -> None:
    run = Run(tmp_path, answers(2, 3, 1))
    result = run(*steps())
    assert run.session.done == [
        *("start {'A': '1'}", "at start", "send a", "send b", "send c"),
        *("at overlap", "receive") * 3,
        *("at end", "finish 0.25", "left"),
    ]
    assert [each.step.action.name for each in result.outcomes] == ["a", "b", "c"]
    assert {each.strays for each in result.outcomes} == {("output", "stray")}
    assert {each.changed_inputs for each in result.outcomes} == {("in",)}
    assert result.ending == "ending"  # type: ignore[comparison-overlap]
    assert run.staged == [("root", "merged", "merged parents", "store")]
    assert run.setup.sandboxes == [""] * 3


def test_a_failure_is_that_of_all_that_were_not_answered(tmp_path: Path) -> None:
    run = Run(tmp_path, [*answers(2), Failure("crash", "it ended")])
    outcomes = run(*steps()).outcomes
    assert [(each.failure, each.exit_code) for each in outcomes] == [
        *(("crash", None), ("", 0), ("crash", None)),
    ]
    assert run.session.done.count("receive") == 2


def test_a_response_without_an_id_is_that_of_the_only_request(tmp_path: Path) -> None:
    assert Run(tmp_path, answers(0))(steps()[0]).outcomes[0].exit_code == 0
    again = Run(tmp_path, [*answers(1, 1), Failure(TIMEOUT, "no response")])
    outcomes = again(*steps()[:2]).outcomes
    assert [each.failure for each in outcomes] == ["", TIMEOUT]


def test_requests_are_abandoned_before_any_response(tmp_path: Path) -> None:
    run = Run(tmp_path, [])
    result = run(*steps(), is_abandoned=True, eof_patience=2.0)
    assert run.session.done[-4:] == ["send c", "hand over", "finish 2", "left"]
    assert result.outcomes == ()


def test_cancel_requests_follow_all_requests_and_late_answers_are_noted(tmp_path: Path) -> None:
    first, second, third = steps(delivery=Delivery.WHOLE)
    cancelled = Step(action=second.action, cancel=Cancel.AT_ONCE)
    run = Run(tmp_path, answers(1, 2, 3))
    assert [each.late for each in run(first, cancelled, third).outcomes] == ["", "", ""]
    assert run.session.done[2:6] == ["send a", "send b", "send c", "cancel 2"]
    assert run.session.done[-4:] == ["listen", "at end", "finish 0.25", "left"]

    run = Run(tmp_path, answers(1, 2, 3))
    run.session.late = Failure("twice", "id 2")
    late = [each.late for each in run(first, cancelled, third).outcomes]
    assert late == ["", "the worker answered twice: id 2", ""]

    run = Run(tmp_path, [Failure("crash", "")])
    run(first, cancelled)
    assert "listen" not in run.session.done


def test_outputs_that_are_written_after_the_response_to_a_cancelled_request_are_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = iter([{}, {}, {"out": 1}, {"out": 1}])
    monkeypatch.setattr(snapshot, "look_at", lambda *_: next(states))
    first, second, _ = steps()
    cancelled = Step(action=second.action, cancel=Cancel.AT_ONCE)
    run = Run(tmp_path, answers(1, 2))
    late = [each.late for each in run(first, cancelled).outcomes]
    assert late == ["", "its outputs were written after the response"]


def test_each_request_has_a_sandbox_with_its_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, answers(1, 2, 3), sandbox=True)

    class Staged:
        def __init__(self, root: Any) -> None:
            self.root = root

        def stage(self, *given: str) -> None:
            assert Path(self.root.path).is_dir()
            run.staged.append((self.root.name, *given))

    monkeypatch.setattr(overlapping, "StagedRoot", Staged)
    outcomes = run(*steps()).outcomes
    assert run.staged == [
        ("root", "tools", "tool parents", "store"),
        *(
            (f"root/__sandbox/{n}", name, f"{name} parents", "store")
            for n, name in enumerate("abc", 1)
        ),
    ]
    assert run.setup.sandboxes == [f"__sandbox/{number}" for number in (1, 2, 3)]
    assert [each.detail for each in outcomes] == [""] * 3


@pytest.mark.parametrize("sandbox", [False, True])
def test_outputs_outside_of_the_sandbox_are_told(
    sandbox: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlapping, "StagedRoot", lambda _: SimpleNamespace(stage=lambda *_: None))
    run = Run(tmp_path, answers(1), sandbox=sandbox)
    (tmp_path / "root").mkdir()
    (tmp_path / "root/out").touch()
    (outcome,) = run(steps()[0]).outcomes
    assert outcome.detail == ("written outside of sandbox_dir: out" if sandbox else "")
