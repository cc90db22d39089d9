"""Loads the observer into a Python worker. Python runs this file when it starts, because of PYTHONPATH.

It runs in the worker, with any Python from 3.8 on: it imports as little as possible, leaves nothing that
the tool could see, and never raises. The observer's thread is the main one: the socket sends it a signal
when a message has come, so the worker has no thread that it would not have otherwise, and the observer
sees what belongs to the main thread.
"""

from __future__ import annotations

import sys

_VARIABLE = "RPW_OBSERVER"


def _folder() -> str:
    return __file__.rpartition("/")[0] or "."


def _begin() -> None:
    import os

    address = os.environ.get(_VARIABLE)
    folder = _folder()
    sys.path[:] = [each for each in sys.path if each != folder]
    sys.path_importer_cache.pop(folder, None)
    kept = {name: os.environ[name] for name in (_VARIABLE, "PYTHONPATH") if name in os.environ}
    rest = [each for each in kept.get("PYTHONPATH", "").split(os.pathsep) if each != folder]
    # The tool does not see the variables, but a program that replaces this process gets them: it may
    # be the worker, and this only its wrapper.
    data = os.environ._data  # type: ignore[attr-defined]
    data.pop(os.environ.encodekey(_VARIABLE), None)
    if rest != [""] and rest:
        data[os.environ.encodekey("PYTHONPATH")] = os.environ.encodevalue(os.pathsep.join(rest))
    else:
        data.pop(os.environ.encodekey("PYTHONPATH"), None)
    if address:
        _load(folder, address, kept, rest)


def _load(folder: str, address: str, kept: dict[str, str], rest: list[str]) -> None:
    path = folder + "/rpw_observer.py"
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    names: dict[str, object] = {
        "__name__": "rpw_observer",
        "__file__": path,
        "__builtins__": __builtins__,
    }
    exec(code, names)  # noqa: S102 - our own file; it must not be in sys.modules
    names["start"](address, kept, rest)  # type: ignore[operator]


def _go_on() -> None:
    """Run the sitecustomize that the worker has without the observer."""
    del sys.modules["sitecustomize"]
    import sitecustomize  # type: ignore[import-not-found]  # noqa: F401


try:
    _begin()
except Exception:
    pass
_go_on()
