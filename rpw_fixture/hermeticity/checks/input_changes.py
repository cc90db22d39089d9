"""Other contents of inputs: the same path and size, another content."""

from __future__ import annotations

from rpw_fixture.client.inputs import Entry, File
from rpw_fixture.hermeticity.suites.suite import SuiteAction


def variants(content: bytes) -> list[bytes]:
    """Return other contents of the same size, least destructive first: one letter or digit differs."""
    places = [at for at, byte in enumerate(content) if chr(byte).isascii() and chr(byte).isalnum()]
    if not places:
        places = list(range(len(content)))
    picked = dict.fromkeys(
        places[index] for index in (len(places) // 2, 0, -1, len(places) // 4) if places
    )
    return [content[:at] + bytes([_next(content[at])]) + content[at + 1 :] for at in picked]


def other_configuration(action: SuiteAction) -> SuiteAction | None:
    """Return the action with other content in every input file, at the same paths; None without any.

    This is what a build with path mapping sends: two configurations whose files have the same paths.
    """
    entries: dict[str, Entry] = dict(action.inputs)
    for path, entry in action.inputs.items():
        if isinstance(entry, File) and (others := variants(entry.content)):
            entries[path] = File(others[0], entry.is_executable)
    if entries == dict(action.inputs):
        return None
    return action.changed("other configuration", inputs=entries)


def _next(byte: int) -> int:
    for first, last in (("a", "z"), ("A", "Z"), ("0", "9")):
        if ord(first) <= byte <= ord(last):
            return byte + 1 if byte < ord(last) else ord(first)
    return byte ^ 1
