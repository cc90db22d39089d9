"""The sample workers: where they are, in an installed package or in a checkout."""

from __future__ import annotations

from pathlib import Path

from rpw_fixture.errors import EnvironmentLacksError

_PACKAGE = Path(__file__).resolve().parent.parent


def python_workers() -> Path:
    """Return the folder of the Python sample workers, such as ``good.py`` and ``leaky.py``.

    Raises:
        EnvironmentLacksError: if they were not installed with the package.
    """
    for folder in (_PACKAGE / "sample_workers", _PACKAGE.parent / "sample_workers"):
        if (folder / "python" / "good.py").is_file():
            return folder / "python"
    raise EnvironmentLacksError(
        "the sample workers are not installed with this package; they are in sample_workers/python "
        "of the repository"
    )
