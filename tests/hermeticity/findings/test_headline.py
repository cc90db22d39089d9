"""The first line of a finding: all of it that fits in 80 columns, cut where words end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.findings.headline import WIDTH, cause, headline, shortened
from rpw_fixture.hermeticity.trials.trial import Variation

FINDING = Finding(code="RPW202", victim="bye", summary="it differs")


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("one two", 7, "one two"),
        ("one two", 6, "one t…"),
        ("one  \n two", 7, "one two"),
        ("", 0, ""),
        ("word", 0, "…"),
        ("word", 1, "…"),
        ("word", 3, "wo…"),
        ("abcdefgh i jk", 12, "abcdefgh i…"),
        ("abcdefghi jk", 11, "abcdefghi…"),
        ("abcdef ghijk", 9, "abcdef g…"),  # the space is too far away
        ("abcdefg hijk", 9, "abcdefg…"),
        ("one, two, three", 10, "one, two…"),
        ("one two: three", 10, "one two…"),
    ],
)
def test_text_is_cut_at_a_space_if_one_is_near(text: str, width: int, expected: str) -> None:
    assert shortened(text, width) == expected


@settings(max_examples=50)
@given(text=st.text("ab ,:\n"), width=st.integers(1, 30))
def test_shortened_text_fits_and_begins_as_the_text_does(text: str, width: int) -> None:
    found = shortened(text, width)
    plain = " ".join(text.split())
    assert len(found) <= width
    assert found == plain or (found.endswith("…") and plain.startswith(found[:-1]))
    assert (found == plain) is (len(plain) <= width)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "RPW202 state-leak: bye: it differs"),
        ({"polluters": ("hi",)}, "RPW202 state-leak: bye after hi"),
        ({"victim": ""}, "RPW202 state-leak: it differs"),
        ({"victim": "", "polluters": ("hi",)}, "RPW202 state-leak: after hi"),
        ({"summary": "bye differs"}, "RPW202 state-leak: bye differs"),
        ({"victim": "a", "polluters": ("a",)}, "RPW202 state-leak: a after a"),
        (
            {"code": "RPW209", "variation": Variation(factor="umask")},
            "RPW209 environment-dependent: bye on umask",
        ),
    ],
)
def test_a_headline_names_the_victim_and_the_cause(
    values: dict[str, object], expected: str
) -> None:
    finding = replace(FINDING, **values)  # type: ignore[arg-type]
    code, _, rest = headline(finding).partition(": ")
    assert code.partition(" ")[0] == finding.code
    assert rest == expected.partition(": ")[2]


@pytest.mark.parametrize("length", [30, 36, 37, 38, 39, 40, 200])
def test_a_long_victim_leaves_room_for_a_cause(length: int) -> None:
    line = headline(replace(FINDING, victim="v" * length, polluters=("p" * 200,)))
    assert len(line) <= WIDTH
    start, _, why = line.partition(" after ")
    assert len(f"after {why}") >= 20
    room = WIDTH - len("RPW202 state-leak: ") - 20 - 2
    assert ("…" in start) is (length > room)


def test_a_cause_is_what_came_before_or_the_factor_or_the_summary() -> None:
    varied = replace(FINDING, code="RPW209", variation=Variation(factor="umask"))
    assert cause(replace(varied, polluters=("hi",))).startswith("after ")
    assert cause(varied) == "on umask"
    assert cause(FINDING) == "it differs"
