"""What a hostile program would try: ``attempts FACTS [--weak]`` makes every attempt in turn.

It runs as an action behind each kind of isolation, and directly, for comparison. Standard library only.
FACTS is a JSON object with the places of what the test made for it. The output is a JSON object with the
result of each attempt, by its name: ``{"value": TEXT}`` when it worked, ``{"error": NAME OF ERRNO}`` when
it did not. ``--weak`` gives up all capabilities first, as isolation does; ``--list`` prints the names.

Each attempt has a separate process, and is harmless when it works: it touches only what the test
made, sets what is set already, or asks for something invalid that the kernel refuses in a second check,
after that of the right.
"""

from __future__ import annotations

import at_start  # noqa: F401 - before what opens something

# isort: split
import errno
import json
import os
import sys

import files  # noqa: F401 - registers its attempts, as the others do
import kernel  # noqa: F401
import own_root  # noqa: F401
import places  # noqa: F401
import processes  # noqa: F401
import rights  # noqa: F401
import sharing  # noqa: F401
from probing import PROBES, Facts, checked, libc


def weaken() -> None:
    """Give up all capabilities."""
    for capability in range(64):
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
    checked(libc.capset((0x20080522).to_bytes(4, "little") + bytes(4), bytes(24)))


def attempt(name: str, facts: Facts) -> dict[str, str]:
    """Try one thing, and print the result."""
    own = {"bait": f"{facts['baits']}/{name}", "file": f"{facts['file']}-{name}"}
    try:
        value = PROBES[name]({**facts, **own})
    except OSError as error:
        return {"error": errno.errorcode.get(error.errno or 0, str(error))}
    return {"value": "" if value is None else str(value)}


def apart(name: str, facts: Facts) -> dict[str, str]:
    """Try one thing in a separate process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.write(writing, json.dumps(attempt(name, facts)).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as result:
        told: dict[str, str] = json.load(result)
    os.waitpid(child, 0)
    return told


if __name__ == "__main__":
    if "--list" in sys.argv:
        print(json.dumps(sorted(PROBES)))
    else:
        if "--weak" in sys.argv:
            weaken()
        facts = json.loads(sys.argv[1])
        print(json.dumps({name: apart(name, facts) for name in PROBES}))
