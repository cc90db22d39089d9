"""Files that a command writes at its end: what would prevent that is reported at its beginning."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from rpw_fixture.errors import ConfigError, EnvironmentLacksError


def require_room(option: str, path: Path, *, is_folder: bool = False) -> None:
    """Refuse before the run what could not be written after it.

    Args:
        option: the option, as messages show it.
        path: what will be written.
        is_folder: it is a folder, which is created with those above it.

    Raises:
        EnvironmentLacksError: it can't be written.
    """
    here = path if is_folder else path.parent
    while is_folder and not here.exists():
        here = here.parent
    if path.is_dir() and not is_folder:
        raise EnvironmentLacksError(f"{option}: Is a directory")
    if not here.is_dir():
        reason = "Not a directory" if here.exists() else "No such file or directory"
        raise EnvironmentLacksError(f"{option}: {reason}")
    if not os.access(path if path.exists() else here, os.W_OK):
        raise EnvironmentLacksError(f"{option}: Permission denied")


def require_different(
    written: Iterable[tuple[str, Path]], read: Iterable[tuple[str, Path]] = ()
) -> None:
    """Refuse an output that would overwrite another output or an input; devices may be shared.

    Args:
        written: each output with the option that names it, as messages show it.
        read: each input likewise; one may be named twice.

    Raises:
        ConfigError: two are the same file.
    """
    seen = {os.path.realpath(path): option for option, path in read}
    for option, path in written:
        if path.exists() and not path.is_file():
            continue
        real = os.path.realpath(path)
        if real in seen:
            raise ConfigError(f"{seen[real]} and {option} name the same file")
        seen[real] = option
