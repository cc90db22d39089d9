"""A fault as a value, and its written form; registry.py has the faults that are armed.

A fault is written ``TARGET[:EFFECT][:OPTION=VALUE]…``:

- TARGET: an RPC, as in ``Execute``, ``ByteStream.Read`` or ``google.bytestream.ByteStream/Read``;
  ``*`` for every RPC but health checks; ``worker`` for persistent workers.
- EFFECT: the name of a status code: the call fails with it; ``half-close``: the server ends the
  stream with OK too early; ``evict``: blobs named in the request or the response are removed after
  the call; ``evict-all``: all blobs are; for workers ``die-in-request``: the worker is killed and its
  response is lost, or ``die-after-request``: the worker is killed after its response. Without an
  effect the call is only delayed.
- OPTION: ``first=N``: only the first N calls; ``every=N``: only every N-th call; ``after=N``: after N
  messages of a stream; ``delay=S``: wait S seconds first; ``message=TEXT``: the text of the status.

``Execute:UNAVAILABLE:first=2`` fails two calls. ``ByteStream.Read:UNAVAILABLE:after=1`` fails every
read after its first message.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rpw_fixture.errors import Code, ConfigError
from rpw_fixture.wire.rpcs import SERVED

EVERY_METHOD = "*"
WORKER = "worker"
#: RPCs that name blobs in the request or in the response.
NAMING_BLOBS = frozenset(
    {
        "ActionCache.GetActionResult",
        "ContentAddressableStorage.FindMissingBlobs",
        "ContentAddressableStorage.BatchUpdateBlobs",
        "ContentAddressableStorage.BatchReadBlobs",
        "ByteStream.Read",
        "ByteStream.Write",
        "Execution.Execute",
        "Execution.WaitExecution",
    }
)
_BY_SIMPLE_NAME = {name.partition(".")[2]: name for name in SERVED}
_OPTIONS: Mapping[str, Callable[[str], Any]] = {
    "first": int,
    "every": int,
    "after": int,
    "delay": float,
    "message": str,
}


class Effect(StrEnum):
    """The effect of a fault, by its written name; FAIL is written as a status code."""

    DELAY = "delay"
    FAIL = "fail"
    HALF_CLOSE = "half-close"
    EVICT = "evict"
    EVICT_ALL = "evict-all"
    DIE_IN_REQUEST = "die-in-request"
    DIE_AFTER_REQUEST = "die-after-request"


_WORKER_EFFECTS = frozenset({Effect.DIE_IN_REQUEST, Effect.DIE_AFTER_REQUEST})
_WRITTEN = {str(effect): effect for effect in Effect} | {str(Effect.FAIL): None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault; the module describes its parts.

    Attributes:
        target: as ``ByteStream.Read``, ``*`` or ``worker``; other forms of an RPC's name are converted.
        effect: what it does.
        code: the status code with which the call fails.
        first: strikes only the first calls, this many; 0 for all.
        every: strikes only every N-th call; 0 for all.
        after: number of messages of the stream that pass first.
        delay: seconds to wait first; the wait ends when the client goes away.
        message: the text of the status; empty for one that names the fault.

    Raises:
        ConfigError: for parts that do not go together; the message names them.
    """

    target: str
    effect: Effect = Effect.DELAY
    code: Code | None = None
    first: int = 0
    every: int = 0
    after: int = 0
    delay: float = 0.0
    message: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", _target(self.target))
        if self.effect is Effect.HALF_CLOSE and not self.after:
            object.__setattr__(self, "after", 1)
        for problem in self._problems():
            raise ConfigError(f"fault {self}: {problem}")

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Return the fault of a written form.

        Raises:
            ConfigError: names the part that is wrong, and what is allowed there.
        """
        target, *parts = text.split(":")
        given: dict[str, Any] = {"target": target}
        for position, part in enumerate(parts):
            name, separator, value = part.partition("=")
            if separator:
                given |= _option(text, name, value, given)
            elif position == 0:
                given |= _effect(text, part)
            else:
                raise ConfigError(f"fault {text!r}: {part!r} is not of the form OPTION=VALUE")
        try:
            return cls(**given)
        except ConfigError as error:
            raise ConfigError(f"fault {text!r}: {str(error).partition(': ')[2]}") from None

    def __str__(self) -> str:
        parts = [self.target]
        if self.effect is Effect.FAIL:
            parts.append(self.code.name if self.code else "FAIL")
        elif self.effect is not Effect.DELAY:
            parts.append(str(self.effect))
        defaults = {each.name: each.default for each in dataclasses.fields(self)}
        for name in _OPTIONS:
            value = getattr(self, name)
            if value != defaults[name]:
                parts.append(f"{name}={value}")
        return ":".join(parts)

    def _problems(self) -> Iterable[str]:
        if self.first < 0 or self.every < 0 or self.after < 0:
            yield "first, every and after must not be negative"
        if not (math.isfinite(self.delay) and self.delay >= 0):
            yield "delay must be a number of seconds, 0 or more"
        if self.first and self.every:
            yield "first and every exclude each other; give one of them"
        if (self.effect is Effect.FAIL) != (self.code not in (None, Code.OK)):
            yield "a call fails with a status code other than OK, and a code is only for calls that fail"
        if self.effect is Effect.DELAY and not self.delay:
            yield "it has neither an effect nor a delay; add one"
        if self.message and (self.effect is not Effect.FAIL or ":" in self.message):
            yield "message is only for calls that fail, and must not contain a colon"
        if (self.effect in _WORKER_EFFECTS) != (self.target == WORKER):
            yield f"{' and '.join(sorted(_WORKER_EFFECTS))} go with the target {WORKER}, and only these"
        yield from self._problems_of_method()

    def _problems_of_method(self) -> Iterable[str]:
        client_streams, server_streams = SERVED.get(self.target, (False, False))
        if self.effect is Effect.HALF_CLOSE and not server_streams:
            yield "half-close needs an RPC whose response is a stream"
        if self.after and not (client_streams or server_streams):
            yield "after counts the messages of a stream, and the target has no stream"
        if self.after and self.effect not in (Effect.FAIL, Effect.HALF_CLOSE):
            yield "after goes with a status code or half-close"
        if self.effect is Effect.EVICT and self.target not in NAMING_BLOBS:
            yield f"evict needs an RPC that names blobs: {', '.join(sorted(NAMING_BLOBS))}"


def _target(text: str) -> str:
    if text in (EVERY_METHOD, WORKER):
        return text
    name = text.removeprefix("/").replace("/", ".")
    short = ".".join(name.split(".")[-2:])
    found = short if short in SERVED else _BY_SIMPLE_NAME.get(name)
    if found is None:
        known = ", ".join(_BY_SIMPLE_NAME)
        raise ConfigError(f"fault {text!r}: unknown target; use {known}, * or {WORKER}")
    return found


def _effect(text: str, part: str) -> dict[str, Any]:
    effect = _WRITTEN.get(part)
    if effect is not None and effect is not Effect.DELAY:
        return {"effect": effect}
    try:
        return {"effect": Effect.FAIL, "code": code_named(part)}
    except ConfigError:
        effects = [name for name, each in _WRITTEN.items() if each not in (None, Effect.DELAY)]
        raise ConfigError(
            f"fault {text!r}: {part!r} is neither a status code such as UNAVAILABLE nor one of "
            f"{', '.join(effects)}"
        ) from None


def _option(text: str, name: str, value: str, given: Mapping[str, Any]) -> dict[str, Any]:
    kind = _OPTIONS.get(name)
    if kind is None or name in given:
        problem = "is given twice" if kind else f"is unknown; use {', '.join(_OPTIONS)}"
        raise ConfigError(f"fault {text!r}: option {name!r} {problem}")
    try:
        return {name: kind(value)}
    except ValueError:
        raise ConfigError(f"fault {text!r}: {name}={value!r} is not a number") from None


def code_named(name: str) -> Code:
    """Return the status code with a name.

    Raises:
        ConfigError: when there is none.
    """
    try:
        return Code[name]
    except KeyError:
        raise ConfigError(
            f"fault: {name!r} is not the name of a status code such as UNAVAILABLE"
        ) from None
