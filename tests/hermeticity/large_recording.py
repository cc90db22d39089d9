"""Write a recording of thousands of actions of a cheap worker, two of which share state.

Usage: python -m tests.hermeticity.large_recording FOLDER [--actions N] [--keys N]. It prints which two.
The keys differ in a tool input, and the actions in the sizes of their inputs.
"""

from __future__ import annotations

import argparse
import contextlib
from functools import partial
from pathlib import Path

from rpw_fixture.storage.recording_folder import RecordingFolder
from rpw_fixture.wire.digests import SHA256, Digest
from tests.hermeticity.samples import source

#: Makes a worker of the last key answer one action differently after another one.
_LEAK = """
    text = request.expanded_arguments()
    if {polluter!r} in text:
        seen.append(1)
    if {victim!r} in text and seen:
        request.arguments = [*text, "--header", "leaked"]
"""
_BEGIN = "    options = Options(request"
_SIZES = (10, 300, 9000)


def write(folder: Path, actions: int, keys: int) -> tuple[str, str]:
    """Write a recording; return the names of the polluter and of its victim."""
    count = actions // keys
    last = keys - 1
    polluter, victim = (f"a{last}-{number:04}" for number in (count // 3, count * 2 // 3))
    with contextlib.closing(RecordingFolder(folder, "FOLDER")) as recording:
        for number in range(actions):
            key = number % keys
            leak = _LEAK.format(polluter=polluter, victim=victim) if key == last else ""
            _add(recording, key, number, f"a{key}-{number // keys:04}", leak)
    return polluter, victim


def _add(recording: RecordingFolder, key: int, number: int, name: str, leak: str) -> None:
    kind = number // 7 % len(_SIZES)
    text = f"text of {name}\n".encode() * _SIZES[kind]
    inputs = [{"path": f"src/{name}.txt", "tool": False, **_kept(recording, text)}]
    for path, content in _tools(key, leak).items():
        inputs.append({"path": f"tools/{path}", "tool": True, **_kept(recording, content)})
    output = f"out/{name}.txt"
    recording.add(
        {
            "action": str(SHA256.of(name.encode())),
            "mnemonic": "Compile",
            "target": f"//src:{name}",
            "key": f"key {key}",
            "pool": f"pool {key}",
            "protocol": "proto",
            "abilities": [],
            "command": ["python3", "tools/good.py"],
            "environment": {},
            "working_directory": "",
            "timeout": 30.0,
            "do_not_cache": False,
            "arguments": ["--in", f"src/{name}.txt", "--out", output, "--header", name],
            "flagfiles": [],
            "outputs": [output],
            "sent": float(number),
            "exit_code": 0,
            "made": [],
            "inputs": inputs,
        }
    )


def _tools(key: int, leak: str) -> dict[str, bytes]:
    good = source("good.py").read_text().replace(_BEGIN, f"{leak}\n{_BEGIN}", 1)
    good = good.replace("_CACHE_ENTRIES = 256", "_CACHE_ENTRIES = 256\nseen = []", 1)
    tools = {"good.py": good.encode(), "rpw_worker.py": source("rpw_worker.py").read_bytes()}
    return {**tools, "key.txt": str(key).encode()}


def _kept(recording: RecordingFolder, content: bytes) -> dict[str, object]:
    digest: Digest = SHA256.of(content)
    recording.keep(str(digest), partial(bytes, content))
    return {"digest": str(digest), "executable": False}


def main() -> None:
    """Write what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.hermeticity.large_recording")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--actions", type=int, default=5000, metavar="N")
    parser.add_argument("--keys", type=int, default=20, metavar="N")
    options = parser.parse_args()
    polluter, victim = write(options.folder, options.actions, options.keys)
    print(f"//src:{polluter} changes //src:{victim}")


if __name__ == "__main__":
    main()
