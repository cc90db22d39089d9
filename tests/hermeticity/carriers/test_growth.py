"""What grows in a worker, by what was counted: which of it is confirmed, and what is said of nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rpw_fixture.hermeticity.carriers import growth
from rpw_fixture.hermeticity.trials.experiment import Growing

REQUESTS = 30


def located(
    code: str, *growing: Growing, observer: str = "python", remark: str = "", length: int = 40
) -> tuple[list[tuple[str, bool]], str]:
    """Names of carriers, and whether they are confirmed; the remark."""
    asked: list[Any] = []

    def run(trial: Any) -> Any:
        asked.append(trial)
        observation = SimpleNamespace(growing=growing, remark=remark)
        return SimpleNamespace(observation=observation)

    context: Any = SimpleNamespace(run=run)
    finding: Any = SimpleNamespace(code=code, history=tuple(range(length)))
    carriers, why = growth.locate(context, finding, observer, "program")
    (trial,) = asked
    assert trial.history == tuple(range(min(length, 40)))
    assert trial.experiment.mark == min(10, min(length, 40) // 3)
    assert trial.experiment.counts_growth
    assert (trial.experiment.observer, trial.experiment.program) == (observer, "program")
    return [(each.name, each.is_confirmed) for each in carriers], why


def counted(name: str, more: int, kind: str = "descriptor") -> Growing:
    return Growing(kind=kind, name=name, before=5, after=5 + more, unit="open descriptors")


def in_memory(name: str, freed: float, **values: Any) -> Growing:
    return Growing(name=name, before=1, after=9, unit="entries", freed=freed, **values)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([30], [("0", True)]),
        ([3], [("0", True)]),
        ([2], []),
        ([15, 15], [("0", True), ("1", True)]),
        ([10, 20], [("1", True), ("0", False)]),
        ([10, 11, 10], [("1", False), ("0", False), ("2", False)]),
        ([1, 30], [("1", True)]),
        ([30 - n for n in range(12)], [(str(n), False) for n in range(8)]),
    ],
)
def test_what_accounts_for_most_of_the_growth_is_confirmed(
    more: list[int], expected: list[tuple[str, bool]]
) -> None:
    growing = [counted(str(number), each) for number, each in enumerate(more)]
    found, remark = located("RPW302", *growing)
    assert found == expected
    assert remark == ("" if expected else "nothing that has a name has grown as much")


@pytest.mark.parametrize(
    ("code", "kind"), [("RPW302", "descriptor"), ("RPW303", "thread"), ("RPW304", "file")]
)
def test_each_code_counts_its_kind_alone(code: str, kind: str) -> None:
    growing = [counted(each, 30, each) for each in ("descriptor", "thread", "file", "child")]
    assert located(code, *growing)[0] == [(kind, True)]


def test_containers_that_may_hold_what_grows_are_suspects() -> None:
    growing = [
        counted("pipe", 30),
        in_memory("kept", 0.9, place="tool.py:1"),
        in_memory("nameless", 0.9),
        *(in_memory(f"more {n}", 0.0, place="tool.py:2") for n in range(9)),
    ]
    found, _ = located("RPW302", *growing)
    assert found == [("pipe", True), ("kept", False), *((f"more {n}", False) for n in range(7))]


@pytest.mark.parametrize(("length", "least"), [(40, 3), (12, 1), (60, 3), (3, 1)])
def test_less_than_a_tenth_of_the_requests_is_no_growth(length: int, least: int) -> None:
    assert located("RPW304", counted("a", least, "file"), length=length)[0] == [("a", True)]
    if least > 1:
        assert located("RPW304", counted("a", least - 1, "file"), length=length)[0] == []


def test_memory_is_held_by_what_frees_it() -> None:
    line = Growing(kind="allocation", name="memory", place="tool.py:9", unit="bytes")
    growing = [in_memory("half", 0.5), in_memory("less", 0.49), line, counted("pipe", 9)]
    assert located("RPW301", *growing)[0] == [("half", True)]
    assert located("RPW301", *growing[1:])[0] == [("less", False), ("memory", False)]
    many = [in_memory(str(number), 0.1) for number in range(12)]
    assert located("RPW301", *many)[0] == [(str(number), False) for number in range(8)]


@pytest.mark.parametrize(
    ("code", "observer", "remark", "expected"),
    [
        ("RPW301", "", "", "the worker's runtime is not one whose memory can be looked into"),
        ("RPW301", "", "why", "the worker's runtime is not one whose memory can be looked into"),
        ("RPW301", "python", "", "nothing that has a name has grown as much"),
        ("RPW301", "python", "why", "why"),
        ("RPW302", "", "", "nothing that has a name has grown as much"),
        ("RPW302", "", "why", "why"),
    ],
)
def test_of_nothing_it_is_said_why(code: str, observer: str, remark: str, expected: str) -> None:
    assert located(code, observer=observer, remark=remark) == ([], expected)


def test_carriers_show_their_sizes_and_the_line_that_allocates() -> None:
    line = Growing(kind="allocation", name="memory", place="tool.py:9", unit="bytes")
    (found,) = growth._of_memory(
        [in_memory("kept", 1.0, place="tool.py:1", kind="module global"), line]
    )
    assert (found.kind, found.name, found.place) == ("module global", "kept", "tool.py:1")
    assert (found.before, found.after, found.changed_at) == ("1 entries", "9 entries", "tool.py:9")
