import itertools

from hypothesis import given
from hypothesis import strategies as st

from rpw_fixture.hermeticity.checks import orders


@given(st.integers(min_value=2, max_value=40))
def test_every_ordered_pair_of_items_is_adjacent_in_some_row(count: int) -> None:
    rows = orders.pair_covering(range(count))
    pairs = {pair for row in rows for pair in itertools.pairwise(row)}
    assert pairs == {(one, other) for one in range(count) for other in range(count) if one != other}


@given(st.integers(min_value=0, max_value=40))
def test_each_row_has_every_item_once(count: int) -> None:
    rows = orders.pair_covering(range(count))
    assert all(sorted(row) == list(range(count)) for row in rows)
    assert len(rows) <= count + count % 2


def test_random_orders_follow_the_seed() -> None:
    def of(seed: int) -> list[tuple[str, ...]]:
        return orders.at_random("abcdef", length=20, count=3, seed=seed)

    assert of(1) == of(1)
    assert of(1) != of(2)
    assert [len(each) for each in of(1)] == [20, 20, 20]


def test_there_are_no_random_orders_of_nothing() -> None:
    assert orders.at_random([], length=5, count=2, seed=0) == []
