"""`Memo` keeps values up to a limit, the newest ones."""

from __future__ import annotations

from rpw_fixture.support.memo import Memo


def test_the_oldest_are_forgotten_beyond_the_limit():
    memo: Memo[int, int] = Memo(8)
    for number in range(20):
        assert memo.put(number, number * number) == number * number
        kept = [each for each in range(20) if memo.get(each) is not None]
        assert kept == list(range(number + 1))[-len(kept) :]
        assert min(number + 1, 6) <= len(kept) <= 8


def test_put_keeps_the_first_value_and_replace_the_last():
    memo: Memo[str, str] = Memo(8)
    assert memo.put("key", "first") == "first"
    assert memo.put("key", "second") == "first"
    assert memo.replace("key", "third") == "third"
    assert memo.replace("new", "one") == "one"
    assert (memo.get("key"), memo.get("new"), memo.get("none")) == ("third", "one", None)


def test_values_count_by_what_they_weigh():
    memo: Memo[str, bytes] = Memo(100, len)
    memo.put("a", bytes(60))
    memo.put("b", bytes(40))
    assert memo.get("a") is not None
    memo.put("b", bytes(99))  # the first one stays, so nothing is added
    assert memo.get("a") is not None
    memo.replace("a", b"")
    memo.put("c", bytes(60))
    assert [memo.get(each) is not None for each in "abc"] == [True, True, True]
    memo.replace("a", b"x")
    assert [memo.get(each) is not None for each in "abc"] == [False, False, True]


def test_clear_forgets_all_and_makes_room():
    memo: Memo[str, bytes] = Memo(10, len)
    memo.put("a", bytes(10))
    memo.clear()
    assert memo.get("a") is None
    memo.put("b", bytes(10))
    assert memo.get("b") is not None
