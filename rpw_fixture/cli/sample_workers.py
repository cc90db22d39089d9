"""Where the sample workers are: inside an installed package, beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

from rpw_fixture.errors import EnvironmentLacksError

_PACKAGE = Path(__file__).resolve().parent.parent


def python_workers() -> Path:
    """The folder of the Python sample workers.

    Raises:
        EnvironmentLacksError: when they were not installed.
    """
    for folder in (_PACKAGE / "sample_workers", _PACKAGE.parent / "sample_workers"):
        if (folder / "python" / "good.py").is_file():
            return folder / "python"
    raise EnvironmentLacksError("the sample workers are not installed with this package")
