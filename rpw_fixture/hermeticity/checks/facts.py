"""Facts: what one check learns and a later check needs, with access limited to what each declares."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import Outcome

T = TypeVar("T")


class UndeclaredFactError(AssertionError):
    """A check reads or shares a fact that it does not declare: a bug of that check."""


@dataclass(frozen=True, slots=True, eq=False)
class Fact(Generic[T]):
    """A name for something that checks learn.

    Attributes:
        name: for messages.
        default: the value while no check has shared one, for example because none was selected.
    """

    name: str
    default: T


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdResults:
    """What fresh workers made of the suite's actions.

    Attributes:
        usable: actions that a fresh worker answers.
        failures: outcomes of the other actions.
        start_seconds: time from the start of a fresh worker to its first response, the median of all
            actions.
    """

    usable: tuple[SuiteAction, ...] = ()
    failures: tuple[Outcome, ...] = ()
    start_seconds: float = 0.0


#: Which actions work at all, and what of their results is stable (`CheckContext.instability`).
COLD_RESULTS = Fact("cold results", ColdResults())
#: Actions whose results do not follow the order in which inputs are created and listed.
ORDER_IGNORED: Fact[frozenset[SuiteAction]] = Fact("ignored order", frozenset())
#: Whether processes pile up below the worker with identical requests.
LEFT_PROCESSES = Fact("left processes", default=False)
#: Whether they pile up in any run at all, longer ones included.
LATER_LEFT_PROCESSES = Fact("left processes of later requests", default=False)
#: Whether a multiplex worker misses requests that come in one write.
LOST_REQUESTS = Fact("lost requests", default=False)
#: Whether the worker misreads requests that arrive in pieces, as large ones always do.
MISREAD_PIECES = Fact("misread pieces", default=False)
#: Whether the worker works outside of the sandbox of a request.
SANDBOX_IGNORED = Fact("ignored sandbox", default=False)
#: Inputs that the worker reads at start-up only; other checks need not report them again.
START_UP_INPUTS: Fact[frozenset[str]] = Fact("inputs read at start-up", frozenset())
#: Codes of what grows with identical requests.
GROWING: Fact[frozenset[str]] = Fact("growth", frozenset())
#: Wrong results and broken rules that have a finding already; other checks need not report them again.
REPORTED: Fact[frozenset[tuple[str, str]]] = Fact("reported results", frozenset())


class Facts:
    """The facts known so far. Outside of `limited` everything may be read and shared."""

    def __init__(self) -> None:
        self._values: dict[Fact[Any], object] = {}
        self._readable: frozenset[Fact[Any]] | None = None
        self._writable: frozenset[Fact[Any]] | None = None

    def read(self, fact: Fact[T]) -> T:
        """Return the value of a fact, its default if no check has shared one.

        Raises:
            UndeclaredFactError: when the running check does not declare that it needs the fact.
        """
        if self._readable is not None and fact not in self._readable:
            raise UndeclaredFactError(f"the check does not declare that it needs {fact.name!r}")
        return cast("T", self._values.get(fact, fact.default))

    def share(self, fact: Fact[T], value: T) -> None:
        """Set the value of a fact for later checks.

        Raises:
            UndeclaredFactError: when the running check does not declare that it shares the fact.
        """
        if self._writable is not None and fact not in self._writable:
            raise UndeclaredFactError(f"the check does not declare that it shares {fact.name!r}")
        self._values[fact] = value

    def copy_values(self) -> Mapping[Fact[Any], object]:
        """Return the values of all facts, for `restore_values`."""
        return dict(self._values)

    def restore_values(self, values: Mapping[Fact[Any], object]) -> None:
        """Set all facts to earlier values, because a check judges again."""
        self._values = dict(values)

    @contextlib.contextmanager
    def limited(self, *, needs: Iterable[Fact[Any]], shares: Iterable[Fact[Any]]) -> Iterator[None]:
        """Allow only these facts within the block; what a check shares it may read as well."""
        before = self._readable, self._writable
        self._writable = frozenset(shares)
        self._readable = self._writable | frozenset(needs)
        try:
            yield
        finally:
            self._readable, self._writable = before
