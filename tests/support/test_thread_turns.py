"""Frequent turns of threads: the interval of the interpreter, and what it was before."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from rpw_fixture.support.thread_turns import SECONDS, frequent_turns


@pytest.fixture(autouse=True)
def _usual() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.004)
    yield
    sys.setswitchinterval(before)


def test_the_usual_interval_comes_back_after_the_last_user() -> None:
    first, second = frequent_turns(), frequent_turns()
    first.__enter__()
    assert sys.getswitchinterval() == pytest.approx(SECONDS)
    second.__enter__()
    first.__exit__(None, None, None)
    assert sys.getswitchinterval() == pytest.approx(SECONDS)
    second.__exit__(None, None, None)
    assert sys.getswitchinterval() == pytest.approx(0.004)


def test_an_error_brings_the_usual_interval_back() -> None:
    with pytest.raises(ZeroDivisionError), frequent_turns():
        _ = 1 // 0
    assert sys.getswitchinterval() == pytest.approx(0.004)


def test_an_interval_that_is_shorter_already_is_left_alone() -> None:
    sys.setswitchinterval(SECONDS / 5)
    shorter = sys.getswitchinterval()  # whole microseconds
    with frequent_turns():
        assert sys.getswitchinterval() == shorter
    assert sys.getswitchinterval() == shorter
