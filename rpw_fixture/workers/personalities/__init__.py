"""Personalities: whose rules the workers of a server follow. They are data; nothing here decides."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from rpw_fixture.errors import ConfigError

if TYPE_CHECKING:
    from rpw_fixture.workers.personalities.rules import Personality

#: The module of each and what it is called there, `reference` first. A server follows one, so only
#: that one is loaded.
_HOMES = {
    "reference": ("reference", "REFERENCE"),
    "bazel-local": ("bazel_local", "BAZEL_LOCAL"),
    "engflow": ("engflow", "ENGFLOW"),
    "buildbuddy": ("buildbuddy", "BUILDBUDDY"),
    "buildfarm": ("buildfarm", "BUILDFARM"),
    "buildbarn": ("buildbarn", "BUILDBARN"),
    "buildbarn-255": ("buildbarn", "BUILDBARN_255"),
    "buildbarn-adr13": ("buildbarn", "BUILDBARN_ADR13"),
    "nativelink": ("nativelink", "NATIVELINK"),
}


def names() -> tuple[str, ...]:
    """The names of all personalities, ``reference`` first."""
    return tuple(_HOMES)


def everyone() -> tuple[Personality, ...]:
    """All there are, ``reference`` first."""
    return tuple(map(find, _HOMES))


def find(name: str) -> Personality:
    """The personality of that name.

    Raises:
        ConfigError: when there is none, with the one that may be meant.
    """
    require(name)
    module, constant = _HOMES[name]
    found: Personality = getattr(importlib.import_module(f"{__name__}.{module}"), constant)
    return found


def require(name: str) -> None:
    """Nothing, when there is a personality of that name.

    Raises:
        ConfigError: when there is none, with the one that may be meant.
    """
    if name in _HOMES:
        return
    import difflib  # noqa: PLC0415 - needed after a mistake only

    close = difflib.get_close_matches(name, names(), 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise ConfigError(f"unknown personality {name!r}; {hint}known are {', '.join(names())}")
