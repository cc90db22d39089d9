from __future__ import annotations

from rpw_fixture.hermeticity.findings.excerpts import head_and_tail


def test_short_texts_stay() -> None:
    assert head_and_tail(" a\nb \n") == "a\nb"


def test_a_stack_trace_keeps_its_first_and_its_last_lines() -> None:
    lines = [f"line {number}" for number in range(1000)]
    shown = head_and_tail("\n".join(lines), 300).splitlines()
    assert (shown[0], shown[-1]) == ("line 0", "line 999")
    (mark,) = [each for each in shown if each not in lines]
    left_out = int(mark.split()[1])
    assert mark == f"… {left_out} lines left out …"
    assert len(shown) - 1 + left_out == 1000
    assert len("\n".join(shown)) < 350


def test_one_long_line_is_cut() -> None:
    shown = head_and_tail("a" * 500 + "b" * 500, 300)
    assert shown.splitlines() == ["a" * 100, "… 700 characters left out …", "b" * 200]
