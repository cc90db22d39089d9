"""Parts of a recording's workers."""

import pytest

from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.suites.shards import WHOLE, Shard, allotted, parse
from rpw_fixture.hermeticity.suites.suite import Suite, SuiteAction, SuiteWorker


def suite(name: str, count: int) -> Suite:
    actions = tuple(SuiteAction(name=f"{name}{number}", arguments=()) for number in range(count))
    return Suite(worker=SuiteWorker(command=(name,)), actions=actions)


SUITES = [suite("a", 2), suite("b", 9), suite("c", 3), suite("d", 4), suite("e", 1)]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_each_worker_is_in_one_part(count: int) -> None:
    parts = [Shard(number, count).part(SUITES) for number in range(1, count + 1)]
    assert sorted(each.worker.command for part in parts for each in part) == [
        ("a",), ("b",), ("c",), ("d",), ("e",),
    ]  # fmt: skip
    assert all(parts)


def test_parts_have_about_the_same_number_of_actions() -> None:
    sizes = [sum(len(each.actions) for each in Shard(n, 2).part(SUITES)) for n in (1, 2)]
    assert sorted(sizes) == [9, 10]


def test_the_whole_is_one_part_also_of_nothing() -> None:
    assert WHOLE.part(SUITES) == SUITES
    assert str(WHOLE) == "1/1"


def test_more_parts_than_workers_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"--shard 1/6: .* only 5 of them. Fix: --shard I/5"):
        Shard(1, 6).part(SUITES)


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "a/b", "1/", "-1/2", "1/2/3"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse(text)


def test_time_is_shared_by_actions() -> None:
    assert allotted(None, SUITES[0], SUITES) is None
    assert allotted(19.0, SUITES[1], SUITES) == 9.0
    assert allotted(10.0, SUITES[4], SUITES[4:]) == 10.0
    assert parse("2/4") == (2, 4)
