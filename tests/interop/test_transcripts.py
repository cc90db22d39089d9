"""docs/serve-and-run.md shows what `serve` and `run` really print during a build."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.terminal import COLUMNS, ROWS

from .requirements import require_bazel
from .transcripts import Builds, comparable, page_blocks


@pytest.fixture(scope="module")
def builds() -> Iterator[Builds]:
    with Builds(require_bazel()) as builds:
        yield builds


def test_the_transcripts_of_the_page_are_what_is_printed(builds: Builds) -> None:
    known = page_blocks()
    made = {"serve": builds.serve(), "run": builds.run(), "run-missed": builds.run("{}")}
    assert known.keys() == made.keys()
    for name, text in made.items():
        hint = f"{name}: write it with python -m tests.interop.transcripts"
        assert comparable(text) == comparable(known[name]), hint
        assert len(text.splitlines()) <= ROWS
        assert max(map(len, text.splitlines())) <= COLUMNS
