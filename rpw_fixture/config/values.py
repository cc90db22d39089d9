"""The values that a setting accepts: its type, its range, its choices.

The same check serves flags, environment variables, ini options, markers and keyword arguments.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any

from rpw_fixture.errors import ConfigError
from rpw_fixture.support.suggestions import did_you_mean

#: The longest time, which the timers of the system can hold.
_YEAR = 366 * 86_400.0
#: The largest size or count, which a file system can hold.
_MOST = 1 << 50
#: The largest number that gRPC and protobuf accept for a size.
INT32 = (1 << 31) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """The values that one setting accepts.

    Attributes:
        default: the default, which determines the type too; None is for an optional text.
        choices: the only texts accepted; empty for any text.
        least, most: range of a number.
        is_optional_bool: True and False are accepted besides the default None.
    """

    default: Any
    choices: tuple[str, ...] = ()
    least: float = 0
    most: float | None = None
    is_optional_bool: bool = False

    def checked(self, value: Any, name: str) -> Any:
        """Return ``value`` in the form in which `Config` keeps it.

        Args:
            value: a value of any type.
            name: name of the setting for messages.

        Raises:
            ConfigError: when the setting does not accept it.
        """
        if isinstance(self.default, bool):
            return _of_type(value, bool, name, "True or False")
        if isinstance(self.default, int | float):
            return self._number(value, name)
        if isinstance(self.default, tuple):
            return _texts(value, name)
        if value is None and self.default is None:
            return None
        if self.is_optional_bool:
            return _of_type(value, bool, name, "True, False or None")
        return self._text(value, name)

    def _number(self, value: Any, name: str) -> float:
        if isinstance(self.default, float):
            number = _of_type(value, int | float, name, "a number")
        else:
            number = _of_type(value, int, name, "a whole number")
        most = self.most or (_YEAR if isinstance(self.default, float) else _MOST)
        if not (math.isfinite(number) and number >= self.least):
            raise ConfigError(f"{name} must be at least {self.least:g}, not {number}")
        if number > most:
            raise ConfigError(f"{name} must be at most {most:.0f}, not {number}")
        return float(number) if isinstance(self.default, float) else number

    def _text(self, value: Any, name: str) -> str:
        text: str = _of_type(_path(value), str, name, "a text")
        if "\0" in text:
            raise ConfigError(f"{name} must not contain a null character")
        if self.default is None and not text:
            raise ConfigError(f"{name} must not be empty")
        if self.choices and text not in self.choices:
            known = ", ".join(repr(each) for each in self.choices)
            hint = did_you_mean(text, self.choices)
            raise ConfigError(f"{name} is {text!r}, not one of {known}{hint}")
        return text


def _of_type(value: Any, kind: Any, name: str, what: str) -> Any:
    is_bool = isinstance(value, bool)
    if not isinstance(value, kind) or (is_bool and kind is not bool):
        raise ConfigError(f"{name} must be {what}, not {value!r}")
    return value


def _texts(value: Any, name: str) -> tuple[str, ...]:
    """Return a tuple of texts; a single text becomes a tuple of one."""
    single = _path(value)
    if isinstance(single, str):
        return (single,)
    if not isinstance(value, tuple | list | set | frozenset):
        raise ConfigError(f"{name} must be a list of texts, not {value!r}")
    return tuple(_of_type(_path(each), str, name, "a list of texts") for each in value)


def _path(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value
