"""Small Python workers that keep state in different places; the line that defines it ends in ``# here``."""

from __future__ import annotations

from dataclasses import dataclass

#: What every worker is: a tool that writes one line, and a memo of a pure function that changes nothing.
FRAME = """\
import sys
sys.dont_write_bytecode = True
import os
import rpw_worker

_memo = {{}}

{state}

def handle(request):
    arguments = request.expanded_arguments()
    name, out = arguments[0], arguments[1]
    _memo.setdefault(name, name.upper())
    text = work(name)
    with open(out, "w") as file:
        file.write(f"{{_memo[name]}} {{text}}\\n")
    return rpw_worker.WorkResponse(0, "")

if __name__ == "__main__":
    {main}
"""
MAIN = "sys.exit(rpw_worker.main(handle))"


@dataclass(frozen=True)
class Leaky:
    """A worker, and the carrier that is to be found."""

    kind: str
    name: str
    state: str
    main: str = MAIN
    has_line: bool = True
    files: tuple[tuple[str, str], ...] = ()

    @property
    def source(self) -> str:
        return FRAME.format(state=self.state, main=self.main)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".replace(" ", "-")


def unlined(kind: str, name: str, state: str) -> Leaky:
    """A worker whose carrier no line of the tool defines."""
    return Leaky(kind, name, state, has_line=False)


LEAKY = [
    Leaky(
        "module global",
        "_seen",
        """
_seen = []  # here
def work(name):
    _seen.append(name)
    return len(_seen)
""",
    ),
    Leaky(
        "module global",
        "_count",
        """
_count = 0  # here
def work(name):
    global _count
    _count += 1
    return _count
""",
    ),
    Leaky(
        "module global",
        "_state['names']",
        """
_state = {"names": {}, "other": []}  # here
def work(name):
    _state["names"][name] = True
    return sorted(_state["names"])
""",
    ),
    Leaky(
        "module global",
        "_last",
        """
def work(name):
    global _last
    before = globals().get("_last", "none")
    _last = name  # here
    return before
""",
    ),
    Leaky(
        "module global",
        "_queue",
        """
from collections import deque
_queue = deque(maxlen=3)  # here
def work(name):
    _queue.append(name)
    return list(_queue)
""",
    ),
    Leaky(
        "module global",
        "_buffer",
        """
_buffer = bytearray()  # here
def work(name):
    _buffer.extend(name.encode())
    return bytes(_buffer)
""",
    ),
    Leaky(
        "module global",
        "_log",
        """
import io
_log = io.StringIO()  # here
def work(name):
    _log.write(name)
    return _log.getvalue()
""",
    ),
    Leaky(
        "module global",
        "_numbers",
        """
import itertools
_numbers = itertools.count(1)  # here
def work(name):
    return next(_numbers)
""",
    ),
    Leaky(
        "module global",
        "_tool.options",
        """
class Tool:
    def __init__(self):
        self.options = {}  # here
_tool = Tool()
def work(name):
    _tool.options[name] = 1
    return len(_tool.options)
""",
    ),
    Leaky(
        "module global",
        "_tool.count",
        """
class Tool:
    __slots__ = ("count",)
    def __init__(self):
        self.count = 0  # here
_tool = Tool()
def work(name):
    _tool.count += 1
    return _tool.count
""",
    ),
    Leaky(
        "module global",
        "_base",
        """
import sqlite3
_base = sqlite3.connect(":memory:")  # here
_base.execute("create table names (name text)")
def work(name):
    _base.execute("insert into names values (?)", (name,))
    return list(_base.execute("select count(*) from names"))
""",
    ),
    Leaky(
        "module global",
        "_local",
        """
import threading
_local = threading.local()  # here
def work(name):
    _local.names = [*getattr(_local, "names", []), name]
    return _local.names
""",
    ),
    Leaky(
        "module global",
        "_context",
        """
from contextvars import ContextVar
_context = ContextVar("_context", default="none")  # here
def work(name):
    before = _context.get()
    _context.set(name)
    return before
""",
    ),
    Leaky(
        "module global",
        "entries",
        """
import cache
def work(name):
    cache.entries.add(name)
    return sorted(cache.entries)
""",
        files=(("cache.py", "entries = set()  # here\n"),),
    ),
    Leaky(
        "module global",
        "found",
        """
def work(name):
    import later
    later.found.append(name)
    return later.found
""",
        files=(("later.py", "found = []  # here\n"),),
    ),
    Leaky(
        "class attribute",
        "Registry.entries",
        """
class Registry:
    entries = []  # here
    def add(self, name):
        self.entries.append(name)
        return list(self.entries)
def work(name):
    return Registry().add(name)
""",
    ),
    Leaky(
        "class attribute",
        "Options.strict",
        """
class Options:
    strict = False  # here
def work(name):
    before = Options.strict
    Options.strict = True
    return before
""",
    ),
    Leaky(
        "closure",
        "counter.step.count",
        """
def counter():
    count = 0  # here
    def step():
        nonlocal count
        count += 1
        return count
    return step
_step = counter()
def work(name):
    return _step()
""",
    ),
    Leaky(
        "closure",
        "remember.work.known",
        """
def remember():
    known = []  # here
    def work(name):
        known.append(name)
        return known
    return work
work = remember()
""",
    ),
    Leaky(
        "function default",
        "work(names)",
        """
def work(name, names=[]):  # here
    names.append(name)
    return names
""",
    ),
    Leaky(
        "function attribute",
        "work.calls",
        """
def work(name):  # here
    work.calls = getattr(work, "calls", 0) + 1
    return work.calls
""",
    ),
    Leaky(
        "module global",
        "current",
        """
import functools
_mode = ["plain"]
@functools.lru_cache(maxsize=None)
def current():  # here
    return os.environ["HOME"] and _first[0]
_first = ["none"]
def work(name):
    _first[0] = name
    result = current()
    _first[0] = "none"
    return result
""",
    ),
    Leaky(
        "local variable",
        "main.done",
        """
def work(name):
    return ""
def main():
    done = []  # here
    def counted(request):
        request.arguments = request.expanded_arguments()
        request.arguments[0] += f" {len(done)}"
        done.append(1)
        return handle(request)
    return rpw_worker.main(counted)
""",
        main="sys.exit(main())",
    ),
    Leaky(
        "local variable",
        "numbers.number",
        """
def numbers():
    number = 0  # here
    while True:
        number += 1
        yield number
_numbers = numbers()
next(_numbers)
def work(name):
    return next(_numbers)
""",
    ),
    unlined(
        "environment",
        "LAST",
        """
def work(name):
    before = os.environ.get("LAST")
    os.environ["LAST"] = name
    return before
""",
    ),
    unlined(
        "working directory",
        "working directory",
        """
_root = os.getcwd()
_open = open
def open(path, mode):
    return _open(os.path.join(_root, path), mode)
def work(name):
    before = os.path.relpath(os.getcwd(), _root)
    os.chdir(os.environ["HOME"])
    return before if before == "." else "elsewhere"
""",
    ),
    unlined(
        "umask",
        "umask",
        """
def work(name):
    return oct(os.umask(0o077))
""",
    ),
    unlined(
        "locale",
        "locale LC_CTYPE",
        """
import locale
locale.setlocale(locale.LC_CTYPE, "C")
def work(name):
    before = locale.setlocale(locale.LC_CTYPE)
    locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    return before
""",
    ),
    unlined(
        "module global",
        "sys.path",
        """
def work(name):
    sys.path.append(name)
    return [each for each in sys.path if "/" not in each]
""",
    ),
    unlined(
        "module global",
        "warnings.filters",
        """
import warnings
def work(name):
    before = len(warnings.filters)
    warnings.simplefilter("ignore", category=BytesWarning, append=False)
    return before
""",
    ),
    unlined(
        "module global",
        "logging.root.handlers",
        """
import logging
def work(name):
    logging.getLogger().addHandler(logging.NullHandler())
    return len(logging.getLogger().handlers)
""",
    ),
    unlined(
        "module global",
        "random._inst",
        """
import random
random.seed(1)
def work(name):
    return random.random()
""",
    ),
    unlined(
        "signal handler",
        "handler of signal 12",
        """
import signal
def work(name):
    return signal.signal(signal.SIGUSR2, signal.SIG_IGN)
""",
    ),
    unlined(
        "decimal",
        "decimal context prec",
        """
import decimal
def work(name):
    before = decimal.getcontext().prec
    decimal.getcontext().prec = 7
    return before
""",
    ),
    unlined(
        "module global",
        "json.dumps",
        """
import json
def work(name):
    result = json.dumps(name)
    json.dumps = lambda value: "patched"
    return result
""",
    ),
    unlined(
        "file",
        "$HOME/.cache/names",
        """
def work(name):
    path = os.path.join(os.environ["HOME"], ".cache", "names")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a+") as file:
        file.seek(0)
        before = file.read()
        file.write(name)
    return before
""",
    ),
    unlined(
        "file",
        "$TMPDIR/seen",
        """
def work(name):
    path = os.path.join(os.environ["TMPDIR"], "seen")
    before = os.path.exists(path)
    open(path, "w").close()
    return before
""",
    ),
]
