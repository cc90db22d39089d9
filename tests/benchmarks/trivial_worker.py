"""The worker that is measured against: it reads one file, writes one file, and answers.

It looks no further into a request than its arguments ``IN OUT``, so that what a long list of inputs
costs is the server's share alone. Without ``--persistent_worker`` it runs once.
"""

from __future__ import annotations

import sys


def copy(source: str, target: str) -> None:
    """Trivial work."""
    with open(source, "rb") as file:  # noqa: PTH123 - pathlib takes longer to import than to work
        content = file.read()
    with open(target, "wb") as file:  # noqa: PTH123
        file.write(content.upper())


def serve_proto() -> None:
    """WorkRequests behind their length; arguments are their first fields, below 128 bytes each."""
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    while first := stdin.read(1):
        size, shift = first[0] & 0x7F, 7
        while first[0] & 0x80:
            first = stdin.read(1)
            size |= (first[0] & 0x7F) << shift
            shift += 7
        payload = stdin.read(size)
        words: list[str] = []
        at = 0
        while payload[at] == 0x0A and len(words) < 2:
            end = at + 2 + payload[at + 1]
            words.append(payload[at + 2 : end].decode())
            at = end
        copy(*words)
        stdout.write(b"\x00")
        stdout.flush()


def serve_json() -> None:
    """A WorkRequest a line."""
    import json

    for line in sys.stdin.buffer:
        copy(*json.loads(line)["arguments"][:2])
        sys.stdout.buffer.write(b'{"exitCode":0}\n')
        sys.stdout.buffer.flush()


def main(arguments: list[str]) -> None:
    """Serves requests, or does the work of one."""
    if "--persistent_worker" in arguments:
        (serve_json if "--json" in arguments else serve_proto)()
    else:
        with open(arguments[-1].removeprefix("@"), encoding="utf-8") as file:  # noqa: PTH123
            copy(*file.read().split())


if __name__ == "__main__":
    main(sys.argv[1:])
