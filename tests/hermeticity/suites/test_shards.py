"""Shards: parts of the workers, and of the checks of those with most of the actions."""

import pytest

from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.suites.shards import WHOLE, Shard, allotted, parse
from rpw_fixture.hermeticity.suites.suite import Suite, SuiteAction, SuiteWorker


def suite(name: str, count: int) -> Suite:
    actions = tuple(SuiteAction(name=f"{name}{number}", arguments=()) for number in range(count))
    return Suite(worker=SuiteWorker(command=(name,)), actions=actions)


SUITES = [suite("a", 2), suite("b", 9), suite("c", 3), suite("d", 4), suite("e", 1)]


#: The work of the pieces of one check.
PIECES = (1.0, 4.0, 2.0, 1.0)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9, 20])
def test_each_piece_of_each_worker_is_in_one_shard(count: int) -> None:
    shards = [Shard(number, count).parts(SUITES, PIECES) for number in range(1, count + 1)]
    found = [
        (each.suite.worker.command[0], piece)
        for part in shards
        for each in part
        for piece in each.pieces
    ]
    assert sorted(found) == [(name, piece) for name in "abcde" for piece in range(len(PIECES))]
    assert all(shards)


def test_workers_stay_whole_where_the_shards_are_about_equal() -> None:
    shards = [Shard(number, 2).parts(SUITES, PIECES) for number in (1, 2)]
    assert {each.pieces for part in shards for each in part} == {(0, 1, 2, 3)}
    assert sorted(sum(each.weight for each in part) for part in shards) == [9, 10]


def test_a_worker_with_most_of_the_actions_is_split() -> None:
    suites = [suite("large", 5000), suite("small", 10)]
    loads = [
        sum(each.weight for each in Shard(number, 2).parts(suites, PIECES)) for number in (1, 2)
    ]
    assert max(loads) < 0.51 * 5010


def test_the_whole_is_one_part_also_of_nothing() -> None:
    assert [each.suite for each in WHOLE.parts(SUITES, PIECES)] == SUITES
    assert all(each.is_first for each in WHOLE.parts(SUITES, PIECES))
    assert WHOLE.parts([]) == []
    assert str(WHOLE) == "1/1"


def test_more_shards_than_pieces_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"--shard 1/21: .* 20 parts at most. Fix: --shard I/20"):
        Shard(1, 21).parts(SUITES, PIECES)


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "a/b", "1/", "-1/2", "1/2/3"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse(text)


def test_time_is_shared_by_actions() -> None:
    parts = WHOLE.parts(SUITES)
    assert allotted(None, parts[0], parts) is None
    assert allotted(19.0, parts[1], parts) == 9.0
    assert allotted(10.0, parts[4], parts[4:]) == 10.0
    assert parse("2/4") == (2, 4)
