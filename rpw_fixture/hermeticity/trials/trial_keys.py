"""Keys of results that outlive the program: a digest of everything that a trial's result depends on.

That is the trial with its actions and their inputs, the worker with its tool inputs, this program, what
the machine offers, and the files outside that the command lines, the environment and scripts name. What a
worker reads besides, without saying so, is not in the key (RPW207 finds that).
"""

from __future__ import annotations

import functools
import glob
import hashlib
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator

from rpw_fixture._version import __version__
from rpw_fixture.client.inputs import Entry, File, Symlink
from rpw_fixture.hermeticity.suites.suite import SuiteAction, SuiteWorker
from rpw_fixture.hermeticity.trials.documents import ActionDocuments, actions_of, write_worker
from rpw_fixture.hermeticity.trials.json_values import dumps
from rpw_fixture.hermeticity.trials.trial import Trial, Variation
from rpw_fixture.launching import landlock

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
#: An absolute path within an argument, the value of a variable, or a script.
_PATH = re.compile(r"/[\w.+@~-]+(?:/[\w.+@~-]+)*")
#: Scripts are shorter than this; what is longer is no launcher, bytes.
_SCRIPT = 1 << 16
#: Programs that trials use if they are there.
_TOOLS = ("strace", "bwrap", "unshare")
#: Where programs look for the name of the user.
_USER_NAMES = ("LOGNAME", "USER")
_LIBRARIES = "/usr/lib/*/faketime/libfaketime.so.1"


class TrialKeys:
    """The keys of the trials of one worker. Thread-safe.

    Args:
        worker: the worker under test.
        search_path: PATH of the processes.
    """

    def __init__(self, worker: SuiteWorker, search_path: str) -> None:
        self._documents = ActionDocuments()
        self._search_path = search_path
        self._files = functools.cache(_file)
        named = dict(worker.environment).get("PATH", search_path)
        tools = [*worker.command[:1], *_interpreters(worker.tool_inputs.values())]
        self._usual = dumps(
            [
                __version__,
                _program(),
                search_path,
                _machine(),
                str(write_worker(worker).digest),
                [_chain(shutil.which(each, path=named)) for each in tools],
                [_tree(each) for each in worker.readable],
                self._outside(_texts_of_worker(worker)),
            ]
        )

    def of(self, trial: Trial) -> str:
        """Return the key of a trial."""
        actions = actions_of(trial)
        texts = [text for each in actions for text in _texts_of_action(each)]
        outside = self._outside([*texts, *_texts_of_variation(trial.variation)])
        hasher = hashlib.sha256(self._usual)
        for part in (self._documents.write_trial(trial), dumps(outside)):
            hasher.update(b"%d\n" % len(part))
            hasher.update(part)
        return hasher.hexdigest()

    def _outside(self, texts: Iterable[str]) -> list[object]:
        paths = sorted({path for text in texts for path in _PATH.findall(text)})
        return [found for each in paths if (found := self._files(each)) is not None]


def _texts_of_worker(worker: SuiteWorker) -> Iterator[str]:
    yield from worker.command
    yield from (value for _, value in worker.environment)
    yield from _texts_of_entries(worker.tool_inputs.values())


def _texts_of_action(action: SuiteAction) -> Iterator[str]:
    yield from action.arguments
    yield from (each.target for each in action.inputs.values() if isinstance(each, Symlink))


def _texts_of_variation(variation: Variation) -> Iterator[str]:
    yield from (value for _, value in variation.environment)
    yield from variation.prefix


def _texts_of_entries(entries: Iterable[Entry]) -> Iterator[str]:
    for each in entries:
        if isinstance(each, Symlink):
            yield each.target
        elif isinstance(each, File) and _is_script(each):
            yield each.content.decode(errors="replace")


def _is_script(file: File) -> bool:
    return len(file.content) < _SCRIPT and file.content[:2] == b"#!"


def _interpreters(entries: Iterable[Entry]) -> list[str]:
    """Return the programs that scripts name for ``env`` in their first lines."""
    lines = (
        each.content.partition(b"\n")[0].decode(errors="replace")
        for each in entries
        if isinstance(each, File) and _is_script(each)
    )
    words = (line.split() for line in lines if "env " in line)
    return sorted({each for line in words for each in line[1:] if each[:1] != "-"})


def _file(path: str) -> list[object] | None:
    """Return what shows whether a file is another one than before; of a folder, only that it is there."""
    try:
        seen = os.stat(path)
    except OSError:
        return None
    if os.path.isdir(path):
        return [path]
    return [path, os.path.realpath(path), seen.st_size, seen.st_mtime_ns]


def _chain(program: str | None) -> list[object]:
    """Return what shows whether a program is another one: every link on the way to it, and its end."""
    found: list[object] = []
    while program is not None and len(found) < 40:
        found.append(_file(program))
        link = os.path.islink(program)
        program = os.path.join(os.path.dirname(program), os.readlink(program)) if link else None
    return found


def _tree(path: str) -> list[object]:
    """Return what shows whether any file in a folder is another one."""
    names = (os.path.join(top, name) for top, _, some in os.walk(path) for name in some)
    return [_file(path), *(_file(each) for each in sorted(names))]


@functools.cache
def _program() -> list[object]:
    """Return what shows whether this program is another one, also where its version stays the same."""
    if not os.path.isdir(_PACKAGE):
        return [_file(os.path.dirname(_PACKAGE))]  # a single file
    names = glob.glob("**/*.py", root_dir=_PACKAGE, recursive=True)
    seen = ((name, os.stat(os.path.join(_PACKAGE, name))) for name in sorted(names))
    return [(name, each.st_size, each.st_mtime_ns) for name, each in seen]


@functools.cache
def _machine() -> list[object]:
    """Return what the machine offers to a trial."""
    named = platform.uname()
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    return [
        [named.system, named.release, named.machine, named.node],
        platform.python_version(),
        landlock.why_unavailable(),
        processors,
        [os.getuid(), *(os.environ.get(each) for each in _USER_NAMES)],
        tempfile.gettempdir(),
        [_chain(shutil.which(each)) for each in _TOOLS],
        [_file(each) for each in sorted(glob.glob(_LIBRARIES))],
    ]
