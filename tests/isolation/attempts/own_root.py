"""Attempts at its own inputs, outputs and surroundings."""

from __future__ import annotations

import errno
import os

import at_start
from probing import Facts, probe


@probe
def write_input(_facts: Facts) -> object:
    with open("declared.txt", "a") as file:
        file.write("changed")


@probe
def chmod_and_write_input(_facts: Facts) -> object:
    os.chmod("other.txt", 0o644)
    with open("other.txt", "a") as file:
        file.write("changed")


@probe
def link_as_output(facts: Facts) -> object:
    os.symlink(f"{facts['bait']}/secret.txt", "out.txt")


@probe
def own_environment(_facts: Facts) -> object:
    return os.environ.get("RPW_SECRET", "")


@probe
def inherited_descriptors(_facts: Facts) -> object:
    if not at_start.INHERITED:
        raise OSError(errno.ENOENT, "")
    return at_start.INHERITED
