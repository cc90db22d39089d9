"""Folders that belong to the user, where the system has them."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def caches() -> Path:
    """Return the folder in which programs of this user keep what they can make again.

    See the XDG Base Directory Specification; macOS has another folder for this.
    """
    named = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(named):
        return Path(named)
    home = Path(os.path.expanduser("~"))
    return home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache"
