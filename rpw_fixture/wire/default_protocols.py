"""The setting ``default_protocol``: the worker protocol of actions that do not name one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rpw_fixture.wire.worker.protocol_names import WorkerProtocol

#: Ask a new worker in one protocol and, without an answer, a second one in the other.
AUTO = "auto"
_KNOWN = {AUTO: None, **{each.value: each for each in WorkerProtocol}}


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultProtocols:
    """The default for all actions, and those of single mnemonics.

    Attributes:
        general: None to find the protocol out.
        by_mnemonic: the same, by mnemonic.
    """

    general: WorkerProtocol | None = None
    by_mnemonic: Mapping[str, WorkerProtocol | None] = field(default_factory=dict)

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
        protocols = {mnemonic: _KNOWN[protocol] for mnemonic, protocol in found.items()}
        return cls(general=protocols.pop("", None), by_mnemonic=protocols)

    def of(self, mnemonic: str) -> WorkerProtocol | None:
        """Return the default of actions with this mnemonic; None to find it out."""
        return self.by_mnemonic.get(mnemonic, self.general)
