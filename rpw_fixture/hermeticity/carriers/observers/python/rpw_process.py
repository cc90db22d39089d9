"""The state of the process: environment, working directory, umask, locale, signal handlers and others."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rpw_fixture.hermeticity.carriers.observers.python import rpw_contents


class Variables(rpw_contents.Namespace):
    """The environment variables, as the tool sees them."""

    def read(self) -> dict[str, Any]:
        """Return the variables."""
        return dict(os.environ)

    def write(self, name: str, value: Any) -> None:
        """Set or delete a variable."""
        if value is rpw_contents.ABSENT:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
        if name == "TZ":
            import time

            time.tzset()


class Settings(rpw_contents.Namespace):
    """Settings of the process that are read and written by functions.

    Args:
        number: the observer's signal, whose handler is not the tool's.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._written: dict[str, Any] = {}
        super().__init__(None)

    def read(self) -> dict[str, Any]:
        """Return the settings, by their names."""
        found: dict[str, Any] = {}
        for name, (read, write) in self._all().items():
            try:
                found[name] = read()
                self._written[name] = write
            except Exception:
                continue
        return found

    def write(self, name: str, value: Any) -> None:
        """Give a setting a value."""
        if value is not rpw_contents.ABSENT:
            self._written[name](value)

    def _all(self) -> dict[str, tuple[Any, Any]]:
        found: dict[str, tuple[Any, Any]] = {
            "working directory": (os.getcwd, os.chdir),
            "umask": (_umask, lambda text: os.umask(int(text, 8))),
            "recursion limit": (sys.getrecursionlimit, sys.setrecursionlimit),
        }
        if "_locale" in sys.modules:
            for category in ("LC_CTYPE", "LC_COLLATE", "LC_TIME", "LC_NUMERIC", "LC_MONETARY"):
                found[f"locale {category}"] = _locale(category)
        if "decimal" in sys.modules or "_decimal" in sys.modules:
            found.update(_decimal())
        if "_signal" in sys.modules:
            found.update(self._signals())
        return found

    def _signals(self) -> dict[str, tuple[Any, Any]]:
        import _signal  # type: ignore[import-not-found]

        found = {}
        for number in range(1, 32):
            if number in {9, 19, self._number}:
                continue
            found[f"handler of signal {number}"] = (
                lambda number=number: _signal.getsignal(number),
                lambda old, number=number: _signal.signal(number, old),
            )
        return found


def kind_of(name: str) -> str:
    """Return the kind of a setting."""
    if name in {"working directory", "umask"}:
        return name
    for each in ("locale", "recursion limit", "decimal"):
        if name.startswith(each):
            return each
    return "signal handler"


def _umask() -> str:
    if os.path.exists("/proc/self/status"):
        with open("/proc/self/status", "rb") as file:
            for line in file:
                if line.startswith(b"Umask:"):
                    return line.split()[1].decode()
    known = os.umask(0o022)
    os.umask(known)
    return f"{known:04o}"


def _locale(category: str) -> tuple[Any, Any]:
    module = sys.modules["_locale"]
    number = getattr(module, category)
    return (lambda: module.setlocale(number, None)), (lambda old: module.setlocale(number, old))


def _decimal() -> dict[str, tuple[Any, Any]]:
    decimal = sys.modules.get("decimal") or sys.modules["_decimal"]

    def reader(name: str) -> Any:
        return lambda: getattr(decimal.getcontext(), name)

    def writer(name: str) -> Any:
        return lambda old: setattr(decimal.getcontext(), name, old)

    names = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")
    return {f"decimal context {name}": (reader(name), writer(name)) for name in names}
