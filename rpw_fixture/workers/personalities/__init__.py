"""Personalities: whose rules the workers of a server follow. They are data; nothing here decides."""

from __future__ import annotations

import difflib

from rpw_fixture.errors import ConfigError
from rpw_fixture.workers.personalities.bazel_local import BAZEL_LOCAL
from rpw_fixture.workers.personalities.buildbarn import BUILDBARN, BUILDBARN_255, BUILDBARN_ADR13
from rpw_fixture.workers.personalities.buildbuddy import BUILDBUDDY
from rpw_fixture.workers.personalities.buildfarm import BUILDFARM
from rpw_fixture.workers.personalities.engflow import ENGFLOW
from rpw_fixture.workers.personalities.nativelink import NATIVELINK
from rpw_fixture.workers.personalities.reference import REFERENCE
from rpw_fixture.workers.personalities.rules import Personality

__all__ = ["PERSONALITIES", "Personality", "find", "names"]

#: All there are, `reference` first.
PERSONALITIES = (
    REFERENCE,
    BAZEL_LOCAL,
    ENGFLOW,
    BUILDBUDDY,
    BUILDFARM,
    BUILDBARN,
    BUILDBARN_255,
    BUILDBARN_ADR13,
    NATIVELINK,
)


def names() -> tuple[str, ...]:
    """The names of all personalities, ``reference`` first."""
    return tuple(each.name for each in PERSONALITIES)


def find(name: str) -> Personality:
    """The personality of that name.

    Raises:
        ConfigError: when there is none, with the one that may be meant.
    """
    for each in PERSONALITIES:
        if each.name == name:
            return each
    close = difflib.get_close_matches(name, names(), 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise ConfigError(f"unknown personality {name!r}; {hint}known are {', '.join(names())}")
