"""The socket that observers connect to: who is chosen, and answers that are none."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture.hermeticity.trials import observer_link as module
from rpw_fixture.hermeticity.trials.observer_link import ObserverLink, ObserverLostError

HELLO = b'{"runtime": "python", "pid": %d}\n'


@pytest.fixture(params=[False, True], ids=["unix", "tcp"])
def link(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: Any
) -> Iterator[ObserverLink]:
    monkeypatch.setattr(module, "_CONNECTS_WITHIN", 0.2)
    monkeypatch.chdir(tmp_path)
    with ObserverLink("socket", is_tcp=request.param) as made:
        yield made


@pytest.fixture
def observer(link: ObserverLink) -> Iterator[Callable[[bytes], socket.socket]]:
    """Connects to the link, and says something."""
    made: list[socket.socket] = []

    def connect(hello: bytes) -> socket.socket:
        host, _, port = link.address.rpartition(":")
        if host:
            made.append(socket.create_connection((host, int(port))))
        else:
            made.append(socket.socket(socket.AF_UNIX))
            made[-1].connect(link.address)
        made[-1].sendall(hello)
        return made[-1]

    yield connect
    for each in made:
        each.close()


Observer = Callable[[bytes], socket.socket]


def test_a_long_path_is_no_address(tmp_path: Path) -> None:
    with ObserverLink(str(tmp_path / ("x" * 200))) as link:
        assert link.address.startswith("127.0.0.1:")
    with ObserverLink("socket", is_tcp=True) as link:
        assert link.address.startswith("127.0.0.1:")


def test_several_observers_may_wait_to_be_accepted(link: ObserverLink, observer: Observer) -> None:
    for number in range(3):
        observer(b'{"runtime": "r%d", "pid": %d}\n' % (number, os.getpid()))
    assert link.connect("")
    assert link.runtime == "r2"
    assert len(link._observers) == 3


def test_the_observer_of_the_worker_is_the_one_that_reads_its_pipe(
    link: ObserverLink, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, str]] = []

    def has_open(pid: int, name: str) -> bool:
        asked.append((pid, name))
        return pid == 7

    monkeypatch.setattr(module, "has_open", has_open)
    worker = observer(b'{"runtime": "java", "pid": 7}\n')
    observer(b'{"runtime": "node", "pid": 8}\n')
    assert link.connect("pipe:[1]")
    assert (link.runtime, asked) == ("java", [(7, "pipe:[1]"), (8, "pipe:[1]")])
    worker.sendall(b'{"ok": true}\n')
    assert link.ask({"do": "mark"}) == {"ok": True}
    assert json.loads(worker.recv(100)) == {"do": "mark"}


def test_without_an_observer_of_the_worker_there_is_none(
    link: ObserverLink, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not link.connect("")
    monkeypatch.setattr(module, "has_open", lambda *_: False)
    observer(HELLO % 8)
    assert not link.connect("pipe:[1]")
    assert link.runtime == ""


@pytest.mark.parametrize(
    "hello",
    [b"", b"no json\n", b"[]\n", b"{}\n", b'{"runtime": "x"}\n', b'{"runtime": "x", "pid": []}\n'],
)
def test_who_does_not_introduce_itself_is_no_observer(
    hello: bytes, link: ObserverLink, observer: Observer
) -> None:
    stranger = observer(hello)
    stranger.shutdown(socket.SHUT_WR)
    assert not link.connect("")
    observer(HELLO % os.getpid())
    assert link.connect("")
    assert link.runtime == "python"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"no json\n", "the observer's answer can't be read: "),
        (b"[]\n", "the observer's answer is no JSON object"),
        (b'{"error": "KeyError: x"}\n', "the observer failed: KeyError: x"),
        (b"", "the observer does not answer: it has closed its connection"),
    ],
)
def test_an_answer_that_is_none_loses_the_observer(
    answer: bytes, problem: str, link: ObserverLink, observer: Observer
) -> None:
    connection = observer(HELLO % os.getpid())
    assert link.connect("")
    connection.sendall(answer)
    connection.shutdown(socket.SHUT_WR)
    with pytest.raises(ObserverLostError, match=f"^{problem}"):
        link.ask({"do": "changes"})


def test_an_observer_that_does_not_answer_in_time_is_lost(
    link: ObserverLink, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ANSWERS_WITHIN", 0.01)
    observer(HELLO % os.getpid())
    assert link.connect("")
    with pytest.raises(ObserverLostError, match="the observer does not answer: "):
        link.ask({"do": "changes"})
