"""Counts in the texts of findings."""

import pytest

from rpw_fixture.support.plurals import counted, plural


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "error", "0 errors"),
        (1, "error", "1 error"),
        (2, "process", "2 processes"),
        (1, "process", "1 process"),
        (3, "action-cache entry", "3 action-cache entries"),
        (3, "key", "3 keys"),
    ],
)
def test_nouns_have_the_plural_of_their_number(number: int, noun: str, text: str) -> None:
    assert counted(number, noun) == text
    assert plural(number, noun) == text.partition(" ")[2]
