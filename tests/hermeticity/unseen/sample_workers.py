"""The good workers of `sample_workers/` as samples: in Python, Node.js, Java and a shell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.hermeticity import samples
from tests.hermeticity.sample_languages import stage_java, stage_node, stage_shell
from tests.hermeticity.unseen.corpus import Sample

SAMPLE_WORKER = "sample"
_OVERLAPPING = "multiplex = true\ncancellation = true"
#: What each one is, and its script, arguments and lines of [worker].
_WORKERS = {
    "good-proto": ("A cache by content.", "good.py", (), ""),
    "good-json": (
        "The same with JSON.",
        "good.py",
        ("--worker_protocol=json",),
        'protocol = "json"',
    ),
    "multiplex": ("Requests overlap and are cancelled.", "multiplex.py", (), _OVERLAPPING),
    "multiplex-sandbox": (
        "The same in sandboxes.",
        "multiplex.py",
        (),
        f"{_OVERLAPPING}\nsandbox = true",
    ),
    "warm": ("It grows by 4 MB while it warms up.", "good.py", (), ""),
    "digests": ("It trusts the digests of a request.", "decodes_digests.py", (), ""),
    "node": ("A cache by content, in Node.js.", "good.py", (), 'protocol = "json"'),
    "shell": ("A tool in a POSIX shell.", "", (), ""),
    "java": ("A compiler that keeps the JDK's classes.", "", (), ""),
    "java-multiplex": ("The same with requests that overlap.", "", (), "multiplex = true"),
}


def sample_workers() -> Iterator[Sample]:
    """Yield the good sample workers; their source is a comment that says what they are."""
    for name, (text, *_) in _WORKERS.items():
        yield Sample(name=name, language=SAMPLE_WORKER, source=f"# {text}\n")


def stage(folder: Path, name: str, jar: Path | None) -> Path:
    """Write the suite of a sample worker, and return its path; ``jar`` is that of the Java worker."""
    _, script, arguments, worker = _WORKERS[name]
    if name == "shell":
        return stage_shell(folder)
    if name == "node":
        return stage_node(folder)
    if name.startswith("java"):
        assert jar is not None
        return stage_java(folder, jar, worker)
    suite = samples.stage(folder, script, *arguments, worker=worker, with_failure=name != "warm")
    tools = suite.parent / "tools"
    if name == "warm":
        grow = "warm.extend([b'x' * 100_000] * (len(warm) < 40))"
        options = "    options = Options(request"
        _replace(tools / script, options, f"    {grow}\n{options}")
        _replace(tools / script, "_CACHE_ENTRIES = 256", "_CACHE_ENTRIES = 256\nwarm = []")
    if name == "digests":
        old = "bytes.fromhex(request.inputs[path].decode())"
        _replace(tools / script, old, "(path, request.inputs[path])")
        missing = "if path not in request.inputs:"
        _replace(tools / script, missing, "if not request.inputs.get(path):")
    return suite


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text, f"{file.name} has no {old}"
    file.write_text(text.replace(old, new))
