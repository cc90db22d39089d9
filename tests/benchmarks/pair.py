"""Our server and the bare one side by side, with a client of each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rpw_fixture import Client

from .peers import peers
from .processes import BARE, OURS, ServerProcess
from .wire import EXECUTE, Wire, connected
from .workload import Ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Both servers.

    Attributes:
        client: of ours, for what is not measured.
        ours, bare: clients for what is.
        server, floor: the processes.
        peers: clients of other servers, by name.
    """

    client: Client
    ours: Wire
    bare: Wire
    server: ServerProcess
    floor: ServerProcess
    peers: Mapping[str, Wire]

    def execute(self, action: Ready) -> list[bytes]:
        """Has our server run an action."""
        return self.ours.stream(EXECUTE, action.request)

    def no_op(self, action: Ready) -> list[bytes]:
        """Has the bare server answer with as many messages, of the same sizes."""
        return self.bare.stream("/bare/Stream", action.request)

    def learn(self, action: Ready) -> None:
        """Run an action once, and configure the bare server to give a response of the same size."""
        self.bare.configure([len(message) for message in self.execute(action)])


@contextlib.contextmanager
def pair(*arguments: str, with_peers: bool = False) -> Iterator[Pair]:
    """Starts both.

    Args:
        arguments: flags of our server.
        with_peers: start those that are installed too.
    """
    with (
        ServerProcess(OURS, *arguments) as server,
        ServerProcess(BARE) as bare,
        Client(server.endpoint) as client,
        connected(server.address) as ours,
        connected(bare.address) as other,
        peers() if with_peers else _no_peers() as others,
    ):
        yield Pair(client=client, ours=ours, bare=other, server=server, floor=bare, peers=others)


@contextlib.contextmanager
def _no_peers() -> Iterator[Mapping[str, Wire]]:
    yield {}
