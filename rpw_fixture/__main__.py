"""Run the command line as ``python -m rpw_fixture``."""

from __future__ import annotations

import sys

from rpw_fixture.cli import main

if __name__ == "__main__":
    sys.exit(main())
