"""The inputs that actions opened, as far as the checks of RPW207 watched them."""

from __future__ import annotations

from dataclasses import dataclass, replace

#: Paths of one kind that a report names at most.
_MOST_PATHS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class InputAccess:
    """The accesses of one action to its inputs.

    Attributes:
        action: name of the action.
        read, unread: its declared inputs, without tool inputs, that were opened and that were not; None
            if its files were not watched.
        undeclared: paths that were read although they are neither inputs nor the system; None if nothing
            could tell.
    """

    action: str
    read: tuple[str, ...] | None = None
    unread: tuple[str, ...] | None = None
    undeclared: tuple[str, ...] | None = None

    def joined(self, other: InputAccess) -> InputAccess:
        """Return what this value and another one know together."""
        known = {
            name: value
            for name in ("read", "unread", "undeclared")
            if (value := getattr(other, name)) is not None
        }
        return replace(self, **known)

    def as_dict(self) -> dict[str, object]:
        """Return the value for JSON reports, without what is not known."""
        fields: dict[str, object] = {"action": self.action}
        for name in ("read", "unread", "undeclared"):
            paths = getattr(self, name)
            if paths is not None:
                fields[name] = list(paths[:_MOST_PATHS])
        return fields
