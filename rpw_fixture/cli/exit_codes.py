"""Exit codes of every subcommand, beside 0."""

from __future__ import annotations

#: There are findings, or failed actions.
FINDINGS = 1
#: A setting or a command line that can't be used.
WRONG_USE = 2
#: The environment lacks something.
ENVIRONMENT_LACKS = 3
#: Plus the number of the signal that ended the process, as shells report it.
SIGNAL = 128
#: A second signal ended the process at once.
AT_ONCE = 130
