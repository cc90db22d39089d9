"""Finding the program that a command line names."""

from __future__ import annotations

import os
from collections.abc import Mapping


def find(name: str, environment: Mapping[str, str], working_directory: str) -> str:
    """Return the path of the program to execute.

    An absolute name is used as it is, a name with a slash is relative to the working directory, and any
    other name is looked up in the command's PATH (remote_execution.proto, Command.arguments since 2.3),
    or in execvp's default path when the command sets no PATH.

    Args:
        name: the first argument.
        environment: environment of the command.
        working_directory: absolute.

    Raises:
        FileNotFoundError, PermissionError: the message names the program.
    """
    if "/" in name:
        return _checked(os.path.join(working_directory, name), name)
    for folder in environment.get("PATH", os.defpath).split(":"):
        path = os.path.join(working_directory, folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    where = "PATH" if "PATH" in environment else f"{os.defpath} (the command sets no PATH)"
    raise FileNotFoundError(f"{name}: command not found in {where}")


def _checked(path: str, name: str) -> str:
    if not os.path.exists(path):
        raise FileNotFoundError(f"{name}: no such file in the input root")
    if os.path.isdir(path) or not os.access(path, os.X_OK):
        raise PermissionError(f"{name}: not executable")
    return path
