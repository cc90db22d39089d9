"""What a fault is, and how it is written. Which ones are armed is the business of armed.py.

A fault is written ``TARGET[:EFFECT][:OPTION=VALUE]…``:

- TARGET: an RPC, as in ``Execute``, ``ByteStream.Read`` or ``google.bytestream.ByteStream/Read``;
  ``*`` for every RPC but health checks; ``worker`` for persistent workers.
- EFFECT: the name of a status code, with which the call fails; ``half-close``, the server ends a
  stream with OK too early; ``evict``, the blobs that the call read, wrote, found or told of are
  dropped once it has answered; ``evict-all``, every blob is; of workers ``die-in-request``, killed
  before the response counts, or ``die-after-request``, killed once it is there. Without an effect
  the call is only delayed.
- OPTION: ``first=N``, the first N calls only; ``every=N``, each Nth call only; ``after=N``, not
  before N messages of a stream; ``delay=S``, wait S seconds first; ``message=TEXT`` of the status.

So ``Execute:UNAVAILABLE:first=2`` breaks two calls and ``ByteStream.Read:UNAVAILABLE:after=1`` breaks
every read after its first message.
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
#: Those that name blobs, in the request or in the response.
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
    """What a fault does, in the words of its written form; FAIL is written as a status code."""

    DELAY = "delay"
    FAIL = "fail"
    HALF_CLOSE = "half-close"
    EVICT = "evict"
    EVICT_ALL = "evict-all"
    DIE_IN_REQUEST = "die-in-request"
    DIE_AFTER_REQUEST = "die-after-request"


_OF_WORKERS = frozenset({Effect.DIE_IN_REQUEST, Effect.DIE_AFTER_REQUEST})
_WRITTEN = {str(effect): effect for effect in Effect} | {str(Effect.FAIL): None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault; see the module for what its parts mean.

    Attributes:
        target: as ``ByteStream.Read``, ``*`` or ``worker``; other ways to name an RPC become this.
        effect: what happens.
        code: with which status, when the call fails.
        first: only the first so many calls, 0 for no such limit.
        every: only each so manieth call, 0 for no such limit.
        after: not before so many messages of the stream.
        delay: seconds to wait first; a client that goes away ends the waiting.
        message: of the status; a default one says that the fault was armed.

    Raises:
        ConfigError: for parts that do not go together, naming them.
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
        """The fault that is written so.

        Raises:
            ConfigError: naming the part that can't be read, and what could stand there.
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
                raise ConfigError(f"fault {text!r}: {part!r} is no OPTION=VALUE")
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
            yield "first, every and after are counts"
        if not (math.isfinite(self.delay) and self.delay >= 0):
            yield "delay is a number of seconds"
        if self.first and self.every:
            yield "first and every exclude each other"
        if (self.effect is Effect.FAIL) != (self.code not in (None, Code.OK)):
            yield "to fail takes a status code other than OK"
        if self.effect is Effect.DELAY and not self.delay:
            yield "it has neither an effect nor a delay"
        if self.message and (self.effect is not Effect.FAIL or ":" in self.message):
            yield "message is the text of a status, without colons"
        if (self.effect in _OF_WORKERS) != (self.target == WORKER):
            yield f"{', '.join(sorted(_OF_WORKERS))} are what happens to the target worker"
        yield from self._problems_of_method()

    def _problems_of_method(self) -> Iterable[str]:
        client_streams, server_streams = SERVED.get(self.target, (False, False))
        if self.effect is Effect.HALF_CLOSE and not server_streams:
            yield "only an RPC that answers with a stream can be half-closed"
        if self.after and not (client_streams or server_streams):
            yield "after counts the messages of a stream, which the target has not"
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
        raise ConfigError(f"fault {text!r}: no such target; use {known}, * or {WORKER}")
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
        problem = "is given twice" if kind else f"is none of {', '.join(_OPTIONS)}"
        raise ConfigError(f"fault {text!r}: option {name!r} {problem}")
    try:
        return {name: kind(value)}
    except ValueError:
        raise ConfigError(f"fault {text!r}: {name}={value!r} is no number") from None


def code_named(name: str) -> Code:
    """The status code of that name.

    Raises:
        ConfigError: when there is none.
    """
    try:
        return Code[name]
    except KeyError:
        raise ConfigError(f"fault: {name!r} is no status code such as UNAVAILABLE") from None
