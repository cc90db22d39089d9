"""Paths of suite files as CI systems expect them: relative to the checkout, with slashes."""

from __future__ import annotations

import os
from collections.abc import Mapping

#: Variables with the folder of the checkout: GitHub, GitLab.
_CHECKOUTS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")


def in_checkout(path: str, environ: Mapping[str, str] | None = None) -> str:
    """Return a path relative to the checkout, or to the current folder; absolute if it is outside both.

    Args:
        path: as the user gave it.
        environ: variables to look for the checkout in; default: those of this process.
    """
    environ = os.environ if environ is None else environ
    full = os.path.realpath(path)
    for folder in (*(environ.get(name) for name in _CHECKOUTS), os.getcwd()):
        base = os.path.realpath(folder) if folder else ""
        if base and os.path.commonpath([base, full]) == base:
            return os.path.relpath(full, base)
    return full
