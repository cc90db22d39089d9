"""The form in which this program runs: installed, as a single file, or as a zipapp.

The launchers of the single file and of the zipapp pass an option ``-X`` to the interpreter. Unlike an
environment variable, no process that the program starts inherits it.
"""

from __future__ import annotations

import sys
from enum import StrEnum

#: Options that hold the path of the file.
_FILE_OPTION, _ZIPAPP_OPTION = "rpw_fixture_file", "rpw_fixture_zipapp"


class ProgramForm(StrEnum):
    """The forms of the program."""

    INSTALLED = "installed"
    FILE = "single file"
    ZIPAPP = "zipapp"


def program_form() -> ProgramForm:
    """Return the form in which this program runs."""
    if _FILE_OPTION in sys._xoptions:  # noqa: SLF001 - documented, in spite of its name
        return ProgramForm.FILE
    if _ZIPAPP_OPTION in sys._xoptions:  # noqa: SLF001
        return ProgramForm.ZIPAPP
    return ProgramForm.INSTALLED


def program_command() -> list[str]:
    """Return the command that starts this program again; arguments may follow."""
    form = program_form()
    if form is ProgramForm.FILE:
        return [str(sys._xoptions[_FILE_OPTION])]  # noqa: SLF001
    if form is ProgramForm.ZIPAPP:
        return [sys.executable, str(sys._xoptions[_ZIPAPP_OPTION])]  # noqa: SLF001
    return [sys.executable, "-m", "rpw_fixture"]


def program_name() -> str:
    """Return what users type to start this program: a command for a shell, without arguments."""
    form = program_form()
    if form is ProgramForm.FILE:
        return "rpw-fixture"
    if form is ProgramForm.ZIPAPP:
        return f"python3 {sys._xoptions[_ZIPAPP_OPTION]}"  # noqa: SLF001
    return "python -m rpw_fixture"
