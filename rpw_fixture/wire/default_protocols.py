"""The setting ``default_protocol``: the worker protocol of actions that do not name one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

#: Ask a new worker in one protocol and, without an answer, a second one in the other.
AUTO = "auto"
_KNOWN = (AUTO, "proto", "json")


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultProtocols:
    """The default for all actions, and those of single mnemonics.

    Attributes:
        general: ``auto``, ``proto`` or ``json``.
        by_mnemonic: the same, by mnemonic.
    """

    general: str = AUTO
    by_mnemonic: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> DefaultProtocols:
        """Read the values of the setting.

        Args:
            texts: each a protocol, or ``MNEMONIC=PROTOCOL``.

        Raises:
            ValueError: for an unknown protocol, or two defaults for the same actions.
        """
        found: dict[str, str] = {}
        for text in texts:
            mnemonic, equals, protocol = text.rpartition("=")
            if protocol not in _KNOWN or (equals and not mnemonic):
                raise ValueError(
                    f"{text!r}: write {', '.join(_KNOWN)}, or MNEMONIC= and one of these"
                )
            if found.setdefault(mnemonic, protocol) != protocol:
                owner = mnemonic or "all actions"
                raise ValueError(
                    f"{owner}: both {found[mnemonic]} and {protocol} are given; give one"
                )
        return cls(general=found.pop("", AUTO), by_mnemonic=found)

    def of(self, mnemonic: str) -> str:
        """Return the default of actions with this mnemonic."""
        return self.by_mnemonic.get(mnemonic, self.general)
