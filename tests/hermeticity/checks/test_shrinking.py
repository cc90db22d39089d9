from collections.abc import Callable, Iterable

from hypothesis import given
from hypothesis import strategies as st

from rpw_fixture.hermeticity.checks.shrinking import minimise, simplify_order


class Counter:
    def __init__(self, is_guilty: Callable[[tuple[int, ...]], bool]) -> None:
        self.is_guilty = is_guilty
        self.asked: list[tuple[int, ...]] = []

    def __call__(self, items: tuple[int, ...]) -> bool:
        self.asked.append(items)
        return self.is_guilty(items)


def guilty_together(polluters: Iterable[int]) -> Counter:
    needed = set(polluters)
    return Counter(lambda items: needed <= set(items))


@given(st.sets(st.integers(min_value=0, max_value=199), min_size=1, max_size=4))
def test_exactly_the_guilty_are_left_in_their_order(polluters: set[int]) -> None:
    assert minimise(range(200), guilty_together(polluters)) == tuple(sorted(polluters))


@given(st.sets(st.integers(min_value=0, max_value=199), min_size=2, max_size=2))
def test_two_of_two_hundred_are_found_with_few_questions(polluters: set[int]) -> None:
    oracle = guilty_together(polluters)
    minimise(range(200), oracle)
    assert len(oracle.asked) <= 40


@given(st.sets(st.integers(min_value=0, max_value=60), min_size=1, max_size=4))
def test_no_question_is_asked_twice(polluters: set[int]) -> None:
    oracle = guilty_together(polluters)
    minimise(range(61), oracle)
    assert len(oracle.asked) == len(set(oracle.asked))


@given(st.data())
def test_cleaners_between_do_not_mislead(data: st.DataObject) -> None:
    """Guilty when the polluter comes after the last cleaner."""
    items = data.draw(st.lists(st.sampled_from([-1, 0, 1]), max_size=60).map(lambda x: [*x, 1, 0]))

    def is_guilty(history: tuple[int, ...]) -> bool:
        state = False
        for each in history:
            state = each == 1 or (state and each != -1)
        return state

    assert minimise(items, is_guilty) == (1,)


@given(st.data())
def test_the_result_is_guilty_and_nothing_in_it_is_dispensable(data: st.DataObject) -> None:
    groups = data.draw(
        st.lists(st.sets(st.integers(0, 29), min_size=1, max_size=3), min_size=1, max_size=4)
    )

    def is_guilty(items: tuple[int, ...]) -> bool:
        return any(group <= set(items) for group in groups)

    found = minimise(range(30), is_guilty)
    assert is_guilty(found)
    assert not any(is_guilty(found[:at] + found[at + 1 :]) for at in range(len(found)))


def test_a_spent_budget_leaves_the_smallest_part_known() -> None:
    oracle = guilty_together({3, 150})
    found = minimise(range(200), oracle, max_questions=10)
    assert {3, 150} <= set(found)
    assert len(oracle.asked) <= 10


def test_order_is_simplified_only_where_it_does_not_matter() -> None:
    assert simplify_order((3, 1, 2), lambda _items: True, lambda item: item) == (1, 2, 3)
    assert simplify_order((3, 1), lambda items: items[0] == 3, lambda item: item) == (3, 1)
