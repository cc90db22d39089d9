"""The requests of a reproducer: what is written is read again, as people would write it."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rpw_fixture.client.inputs import EmptyFolder, File, Symlink
from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.findings import history_file
from rpw_fixture.hermeticity.findings.history_file import History
from rpw_fixture.hermeticity.suites.suite import Suite, SuiteAction, SuiteWorker
from rpw_fixture.hermeticity.trials.trial import (
    Bulk,
    Cancel,
    Delivery,
    Interruption,
    Listing,
    Predecessor,
    RunMode,
    Step,
    Variation,
)

INPUTS = MappingProxyType(
    {"a": File(b"text"), "link": Symlink("a"), "folder": EmptyFolder(), "b": File(b"\xff", True)}
)
FIRST, SECOND = (
    SuiteAction(name=name, arguments=(name, "x"), inputs=INPUTS) for name in ("first", "second")
)
SUITE = Suite(worker=SuiteWorker(command=("tool",)), actions=(FIRST, SECOND))
NAMES = {"first": "first", "second": "second"}


def again(history: History, folder: Path) -> History:
    history_file.write(folder, history, SUITE, NAMES)
    return history_file.read(folder, SUITE)


def document(history: History, folder: Path) -> dict[str, Any]:
    history_file.write(folder, history, SUITE, NAMES)
    read: dict[str, Any] = json.loads((folder / "history.json").read_text())
    return read


CHANGED = {
    "another content": {**INPUTS, "a": File(b"other")},
    "no text": {**INPUTS, "a": File(b"\xfe\0")},
    "executable": {**INPUTS, "a": File(b"text", True)},
    "not executable": {**INPUTS, "b": File(b"\xff")},
    "less": {"link": Symlink("a")},
    "more": {**INPUTS, "new": File(b"new"), "new link": Symlink("b"), "new folder": EmptyFolder()},
    "another link": {**INPUTS, "link": Symlink("b")},
    "a link for a file": {**INPUTS, "a": Symlink("b")},
}


@pytest.mark.parametrize("case", CHANGED)
@pytest.mark.parametrize("arguments", [("first", "x"), ("other",), ()])
def test_a_changed_action_is_read_as_it_was(
    case: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    changed = FIRST.changed(
        case, arguments=arguments, inputs=MappingProxyType(dict(sorted(CHANGED[case].items())))
    )
    found = again(History("RPW101", (Step(action=changed),)), tmp_path).steps[0].action
    assert (found.variant, found.arguments) == (case, arguments)
    assert dict(found.inputs) == dict(changed.inputs)


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    changed = FIRST.with_content("a", b"other")
    steps = (Step(action=FIRST), Step(action=FIRST), Step(action=changed), Step(action=FIRST))
    assert document(History("RPW101", steps), tmp_path) == {
        "schema": 1,
        "code": "RPW101",
        "environment": {},
        "requests": [
            {"times": 2, "action": "first"},
            {
                "times": 1,
                "action": "first",
                "changed": changed.variant,
                "inputs": {"a": {"content": "other", "executable": False}},
            },
            {"times": 1, "action": "first"},
        ],
    }


def test_an_input_that_is_left_out_is_written_as_none(tmp_path: Path) -> None:
    steps = (Step(action=FIRST.without_input("a")),)
    (request,) = document(History("RPW101", steps), tmp_path)["requests"]
    assert request["inputs"] == {"a": None}
    assert "arguments" not in request


STEP_FIELDS: dict[str, list[Any]] = {
    "listing": list(Listing),
    "planted": [(("a", b"text"), ("b/c", b"\xff\0"))],
    "in_place": [True],
    "is_extended": [True],
    "cancel": list(Cancel),
    "delay": [0.5],
    "delivery": list(Delivery),
    "bulk": list(Bulk),
    "verbosity": [1, 10],
    "request_id": [0, 7],
    "pause": [2.5],
    "held_at": ["a"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in STEP_FIELDS.items() for value in values]
)
def test_a_request_is_read_as_it_was(name: str, value: Any, tmp_path: Path) -> None:
    step = Step(action=SECOND, **{name: value})
    history = History("RPW101", (Step(action=FIRST), step, step))
    assert again(history, tmp_path) == history
    is_usual = step == Step(action=SECOND)
    assert (name in document(history, tmp_path)["requests"][1]) is not is_usual


HOW: dict[str, dict[str, Any]] = {
    "usual": {},
    "another environment": {
        "variation": Variation(
            factor="umask",
            umask=0,
            environment=(("A", "1"), ("B", "")),
            steps=(("step", (1, ("a", "b"))),),
            prefix=("strace", "-f"),
            input_mtime=0,
            is_reversed=True,
        )
    },
    **{mode.name: {"mode": mode} for mode in RunMode},
    **{
        f"killed {each.name}": {
            "predecessors": (
                Predecessor(history=(Step(action=FIRST),) * 2, interruption=each, delay=0.25),
                Predecessor(history=(Step(action=SECOND),)),
            )
        }
        for each in Interruption
        if each is not Interruption.NEVER
    },
    "not killed": {"predecessors": (Predecessor(history=(Step(action=FIRST),)),)},
    "started with another action": {"started_with": SECOND},
    "started with a changed action": {"started_with": FIRST.with_content("a", b"other")},
}


@pytest.mark.parametrize("case", HOW)
def test_how_it_is_run_is_read_as_it_was(case: str, tmp_path: Path) -> None:
    history = History("RPW102", (Step(action=FIRST),), **HOW[case])
    assert again(history, tmp_path) == history
    written = document(history, tmp_path)
    usual = {"schema", "code", "requests", "environment"}
    if case in {"usual", "WORKER"}:
        assert written.keys() == usual
    if case == "not killed":
        assert written["earlier_workers"] == [{"requests": [{"times": 1, "action": "first"}]}]


def test_requests_of_all_workers_are_in_their_order() -> None:
    earlier = Predecessor(history=(Step(action=SECOND), Step(action=FIRST)))
    history = History("RPW103", (Step(action=FIRST),), predecessors=(earlier, earlier))
    assert [each.action.name for each in history.all_steps] == [
        *("second", "first", "second", "first", "first")
    ]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=20))
def test_any_content_is_read_as_it_was(content: bytes, tmp_path: Path) -> None:
    step = Step(action=FIRST.with_content("a", content), planted=(("p", content),))
    (found,) = again(History("RPW101", (step,)), tmp_path).steps
    assert found.action.inputs["a"] == File(content)
    assert found.planted == (("p", content),)


BAD = {
    "no JSON": "{",
    "a list": "[]",
    "nothing": "{}",
    "an unknown action": '{"requests": [{"times": 1, "action": "x"}]}',
    "no number": '{"requests": [{"action": "first"}]}',
    "an unknown mode": '{"code": "x", "requests": [], "environment": {}, "mode": "x"}',
    "an unknown value": '{"requests": [{"times": 1, "action": "first", "cancel": "x"}]}',
    "an unknown environment": '{"code": "x", "requests": [], "environment": {"x": 1}}',
    "a number": '{"code": "x", "requests": 5, "environment": {}}',
    "no base64": '{"requests": [{"times": 1, "action": "first", "planted": {"a": {"base64": "x"}}}]}',
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_the_suite_is_refused_with_its_path(case: str, tmp_path: Path) -> None:
    (tmp_path / "history.json").write_text(BAD[case])
    with pytest.raises(ConfigError, match=r"history\.json: does not fit the suite beside it: .+"):
        history_file.read(tmp_path, SUITE)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"^{tmp_path}/history\.json: No such file"):
        history_file.read(tmp_path, SUITE)
