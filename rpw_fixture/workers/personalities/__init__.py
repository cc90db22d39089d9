"""Personalities: the rules of other servers, as data. Nothing here makes decisions."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from rpw_fixture.errors import ConfigError

if TYPE_CHECKING:
    from rpw_fixture.workers.personalities.rules import Personality

#: Module and constant of each personality, `reference` first. A server has one personality, so only
#: that module is loaded.
_MODULES = {
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
    """Return the names of all personalities, ``reference`` first."""
    return tuple(_MODULES)


def all_personalities() -> tuple[Personality, ...]:
    """Return all personalities, ``reference`` first."""
    return tuple(map(find, _MODULES))


def find(name: str) -> Personality:
    """Return the personality with a name.

    Raises:
        ConfigError: when there is none, with the most similar name.
    """
    require(name)
    module, constant = _MODULES[name]
    found: Personality = getattr(importlib.import_module(f"{__name__}.{module}"), constant)
    return found


def require(name: str) -> None:
    """Raise unless there is a personality with that name.

    Raises:
        ConfigError: when there is none, with the most similar name.
    """
    if name in _MODULES:
        return
    import difflib  # noqa: PLC0415 - needed after a mistake only

    close = difflib.get_close_matches(name, names(), 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise ConfigError(f"unknown personality {name!r}; {hint}known are {', '.join(names())}")
