"""The parts of the observer of Python workers in this process, where each of them can be asked alone."""

from __future__ import annotations

import functools
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from rpw_fixture.hermeticity.carriers.observers.python import rpw_observer


def loaded() -> dict[str, Any]:
    """Return the parts by name, made anew, as `rpw_observer.run_file` makes them in a worker."""
    parts: dict[str, ModuleType] = {}
    for name in rpw_observer._PARTS:
        module = ModuleType(name)
        vars(module).update(parts)
        exec(_code(name), vars(module))
        parts[name] = module
    return parts


@functools.cache
def _code(name: str) -> CodeType:
    path = Path(rpw_observer.__file__).with_name(f"{name}.py")
    return compile(path.read_bytes(), str(path), "exec", dont_inherit=True)


PARTS = loaded()
