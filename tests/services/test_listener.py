"""Addresses to listen on, and why one can't be had."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture.config import Config
from rpw_fixture.errors import ConfigError, EnvironmentLacksError
from rpw_fixture.services.listener import Listener
from rpw_fixture.services.unix_sockets import private


class GrpcServer:
    """Binds nothing, and says which port it got."""

    def __init__(self, answer: int | Exception) -> None:
        self.targets: list[str] = []
        self._answer = answer

    def add_insecure_port(self, target: str) -> int:
        self.targets.append(target)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def bind(listen: str, answer: int | Exception) -> tuple[str, list[str]]:
    server: Any = GrpcServer(answer)
    return Listener.of(Config(listen=listen)).bind(server), server.targets


def test_the_address_has_the_port_that_was_picked() -> None:
    assert bind("127.0.0.1:0", 41213) == ("127.0.0.1:41213", ["127.0.0.1:0"])
    assert Listener.of(Config(listen="127.0.0.1:0")).scheme == "grpc"


@pytest.mark.parametrize("answer", [0, RuntimeError("as newer versions of gRPC do")])
def test_what_grpc_can_not_bind_is_named(answer: int | Exception) -> None:
    with pytest.raises(EnvironmentLacksError, match=r"listen on 127\.0\.0\.1:0: the address is in"):
        bind("127.0.0.1:0", answer)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EADDRINUSE, "x"), "stop the other program"),
        (OSError(errno.EADDRNOTAVAIL, "x"), "not an address of this machine"),
        (OSError(errno.EACCES, "Permission denied"), "Permission denied"),
        (socket.gaierror(socket.EAI_NONAME, "Name not known"), "Name not known"),
    ],
)
def test_the_reason_is_known_before_grpc_tries(
    error: OSError, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    owner, name = (socket, "getaddrinfo") if isinstance(error, socket.gaierror) else (
        socket.socket, "bind")  # fmt: skip
    monkeypatch.setattr(owner, name, refuse)
    with pytest.raises(EnvironmentLacksError, match=words):
        bind("127.0.0.1:41213", 41213)


def test_one_address_of_a_name_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
    known = [
        (socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port))
        for address in ("192.0.2.7", "127.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: known)
    assert bind(f"localhost:{port}", port)[0] == f"localhost:{port}"


# --- Unix sockets ---


def take(path: Path) -> None:
    with private(str(path)):
        pass


def test_a_socket_whose_server_has_ended_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as ended:
        ended.bind(str(path))
    take(path)
    assert not path.exists()
    take(path)


def test_a_socket_on_which_something_listens_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(EnvironmentLacksError, match="another server listens there"):
            take(path)

    def wait_in_vain(*_: object) -> None:
        raise TimeoutError  # its queue is full

    with monkeypatch.context() as patched:
        patched.setattr(socket.socket, "connect", wait_in_vain)
        with pytest.raises(EnvironmentLacksError, match="another server listens there"):
            take(path)
    assert path.exists()


def test_what_is_no_socket_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentLacksError, match="not a socket"):
        take(tmp_path / "file")
    with pytest.raises(EnvironmentLacksError, match="absent/socket: No such file"):
        take(tmp_path / "absent/socket")


def test_a_new_socket_is_the_users_alone(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    before = os.umask(0o022)
    try:
        with private(str(path)), socket.socket(socket.AF_UNIX) as mine:
            mine.bind(str(path))
            assert path.stat().st_mode & 0o077 == 0
        assert path.stat().st_mode & 0o777 == 0o600
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"two\nlines", "one line of printable ASCII"),
        (b"caf\xc3\xa9", "one line of printable ASCII"),
        (b"a\x7f", "one line of printable ASCII"),
    ],
)
def test_a_token_is_one_line_of_printable_ascii(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        Listener.of(Config(auth_token_file=str(path)))
    path.write_bytes(b" secret ~!\n")
    listener = Listener.of(Config(auth_token_file=str(path)))
    assert listener.admits([("authorization", "Bearer secret ~!")])
    assert not listener.admits([("authorization", "Bearer secret")])
    assert not listener.admits([])
    assert Listener.of(Config()).admits([])


@pytest.mark.parametrize(("length", "is_possible"), [(107, True), (108, False)])
def test_the_path_of_a_socket_has_a_largest_length(length: int, is_possible: bool) -> None:
    path = "/" + "x" * (length - 1)
    if is_possible:
        assert Listener.of(Config(listen=f"unix:{path}")).path == path
        assert Listener.of(Config(listen=f"unix://{path}")).path == path
    else:
        with pytest.raises(ConfigError, match="may have 107 bytes at most"):
            Listener.of(Config(listen=f"unix:{path}"))


@pytest.mark.parametrize("address", ["127.0.0.1", ":1", "127.0.0.1:x", "127.0.0.1:65536", ""])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="neither HOST:PORT nor unix:PATH"):
        Listener.of(Config(listen=address))
    assert Listener.of(Config(listen="127.0.0.1:65535")).port == 65535
