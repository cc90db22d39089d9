"""Unpacking the archive that answers a question, for as long as it runs."""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Iterator

from rpw_fixture.support.workspace import Workspace


@contextlib.contextmanager
def unpacked(archive: str) -> Iterator[str]:
    """Unpack an archive into a folder for the block, and return its path."""
    with Workspace() as workspace, zipfile.ZipFile(archive) as opened:
        root = str(workspace.path)
        for each in opened.infolist():
            path = os.path.join(root, each.filename)
            os.makedirs(path if each.is_dir() else os.path.dirname(path), exist_ok=True)
            if not each.is_dir():
                with open(path, "wb") as file:
                    file.write(opened.read(each))
        yield root
