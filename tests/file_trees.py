"""Folders on disk as nested dicts, to be compared with what they should hold."""

from __future__ import annotations

import os
from pathlib import Path


def read_tree(path: Path) -> dict:
    """Return what a folder holds as a nested dict: bytes for a file, a dict for a folder."""
    tree: dict = {}
    for entry in os.scandir(path):
        if entry.is_symlink():
            tree[entry.name] = ("->", str(Path(entry.path).readlink()))
        elif entry.is_dir():
            tree[entry.name] = read_tree(Path(entry.path))
        elif entry.is_file():
            tree[entry.name] = Path(entry.path).read_bytes()
        else:
            tree[entry.name] = ("special",)
    return tree
