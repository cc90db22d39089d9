"""The live page: the report of a server that still runs, which its browser updates by itself.

The page is read-only. Without viewers it does not follow the server's log, so it costs actions nothing.
Each viewer has a copy of the model, which a thread updates a few times a second.
"""

from __future__ import annotations

import base64
import hmac
import ipaddress
import json
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from rpw_fixture.errors import ConfigError, EnvironmentLacksError
from rpw_fixture.events.kinds import Event
from rpw_fixture.events.log import EventLog
from rpw_fixture.report import page
from rpw_fixture.report.inputs import Inputs
from rpw_fixture.report.live_rows import LiveRows
from rpw_fixture.report.run_rows import RunRows
from rpw_fixture.services.listener import is_loopback

_log = logging.getLogger(__name__)
_TITLE = "rpw_fixture live"
#: Seconds between two updates, and between two signs of life when nothing happens.
_PAUSE, _SIGN_OF_LIFE = 0.3, 10.0
#: A pause is this many times as long as the last update took.
_SHARE = 40
#: Seconds that a browser may take to send its request, and to take what is sent to it.
_PATIENCE = 5.0
#: Seconds between two looks whether to stop.
_STOP_LOOK = 0.2
#: Connections at once; each viewer has one, and a thread.
_MOST_CONNECTIONS = 16
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class LivePage:
    """Serves the page from entering a ``with`` block until its end.

    Args:
        log: events of the server.
        address: ``HOST:PORT``; port 0 picks one.
        token: what viewers must send, as a bearer token or as the password of their browser's dialogue;
            empty for none.

    Raises:
        EnvironmentLacksError: if the address can't be used.
    """

    def __init__(self, log: EventLog, address: str, *, token: str = "") -> None:
        self._host, port = parse(address)
        try:
            self._server = _HttpServer((self._host.strip("[]"), port), _Handler)
        except OSError as error:
            raise EnvironmentLacksError(f"--web {address}: {error.strerror}") from None
        self._server.page = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_STOP_LOOK,), name="rpw-web", daemon=True
        )
        self.log = log
        self.token = token
        self.stopping = threading.Event()

    @property
    def address(self) -> str:
        """``HOST:PORT``, with the port that was picked."""
        return f"{self._host}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Tell viewers that the server has stopped, and end all connections and threads."""
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.close_all()

    def admits(self, authorization: str) -> bool:
        """Return whether a request with this header may see the page."""
        if not self.token:
            return True
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "basic":
            with suppress(ValueError):
                value = base64.b64decode(value, validate=True).decode().partition(":")[2]
        return hmac.compare_digest(value.encode(), self.token.encode())

    def knows_host(self, host: str) -> bool:
        """Return whether a browser that asked for this host means this server.

        A page of another site can have its own name point to this address, and would then read what it
        gets from here. It can't do so for numbers, ``localhost``, or the name that the user gave.
        """
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        if name.lower() in {"localhost", self._host.lower()}:
            return True
        with suppress(ValueError):
            return bool(ipaddress.ip_address(name.strip("[]")))
        return False


def parse(address: str) -> tuple[str, int]:
    """Return host and port of an address.

    Raises:
        ConfigError: if it is not ``HOST:PORT``.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise ConfigError(f"--web {address!r} is not HOST:PORT")
    return host, int(port)


def require_protection(address: str, *, allows_remote: bool, has_token: bool) -> None:
    """Raise if other machines could see the page without being asked for a token.

    Raises:
        ConfigError: says what is missing.
    """
    host, _ = parse(address)
    if is_loopback(host):
        return
    if not allows_remote:
        raise ConfigError(
            f"--web {address}: {host} is not a loopback address; if other machines may see the page, "
            "add --allow-remote and --auth-token-file"
        )
    if not has_token:
        raise ConfigError(f"--web {address} on an address of the network needs --auth-token-file")


class _HttpServer(ThreadingHTTPServer):
    page: LivePage
    daemon_threads = False  # they are waited for when the server stops
    block_on_close = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            is_full = len(self._connections) >= _MOST_CONNECTIONS
            if not is_full:
                self._connections.add(request)
        if is_full:
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().close_request(request)

    def close_all(self) -> None:
        """End connections whose thread waits for a request, then wait for all threads."""
        with self._lock:
            for each in self._connections:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RD)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what is no more than a viewer that has gone."""
        _log.debug("--web: connection %r from %r ended", request, client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _HttpServer
    timeout = _PATIENCE
    server_version, sys_version = "rpw_fixture", ""

    def do_GET(self) -> None:
        """Send the page, or the events that keep it up to date."""
        web = self.server.page
        if not web.knows_host(self.headers.get("Host", "")):
            self._refuse(403, "This page has another host name: use the address that --web names.")
        elif self.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
            self._refuse(403, "Pages of other sites may not read this one.")
        elif not web.admits(self.headers.get("Authorization", "")):
            self._refuse(401, "Give the server's token as the password; any user name will do.")
        elif self.path == "/":
            self._send(200, "text/html; charset=utf-8", _empty_page())
        elif self.path == "/events":
            self._stream()
        else:
            self._refuse(404, "Nothing is here; the page is at /.")

    def _refuse(self, status: int, text: str) -> None:
        more = {"WWW-Authenticate": 'Basic realm="rpw_fixture"'} if status == 401 else {}
        self._send(status, "text/plain; charset=utf-8", f"{text}\n".encode(), more)

    def _send(
        self, status: int, kind: str, body: bytes, more: Mapping[str, str] | None = None
    ) -> None:
        self._head(status, kind, {"Content-Length": str(len(body)), **(more or {})})
        self.wfile.write(body)

    def _head(self, status: int, kind: str, more: Mapping[str, str]) -> None:
        self.send_response(status)
        policy = {"Content-Security-Policy": f"{page.policy(is_live=True)}; frame-ancestors 'none'"}
        for name, value in {"Content-Type": kind, **_HEADERS, **policy, **more}.items():
            self.send_header(name, value)
        self.end_headers()

    def _stream(self) -> None:
        self._head(200, "text/event-stream", {})
        log = self.server.page.log
        queue: deque[Event] = deque()
        sink = queue.append
        log.add_sink(sink)
        try:
            self._follow(log, queue)
        except OSError:
            _log.debug("--web: a viewer has gone")
        finally:
            log.remove_sink(sink)

    def _follow(self, log: EventLog, queue: deque[Event]) -> None:
        """Send the whole model, then what changes, until the server stops."""
        rows = LiveRows()
        for each in log.snapshot():
            rows.add(each)
        self._event("reset", rows.whole("live"))
        spoken = time.monotonic()
        is_stopping, took = False, 0.0
        while not is_stopping:
            # The larger the model, the longer the pause: viewers may take a few hundredths of the time.
            is_stopping = self.server.page.stopping.wait(max(_PAUSE, _SHARE * took))
            began = time.thread_time()
            for _ in range(len(queue)):
                rows.add(queue.popleft())
            if rows.has_changes:
                self._event("changes", rows.take_changes())
                spoken = time.monotonic()
            elif time.monotonic() - spoken > _SIGN_OF_LIFE:
                self.wfile.write(b": nothing new\n\n")
                spoken = time.monotonic()
            took = time.thread_time() - began
        self._event("ended", {})

    def _event(self, name: str, value: object) -> None:
        data = json.dumps(value, separators=(",", ":"))
        self.wfile.write(f"event: {name}\ndata: {data}\n\n".encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Log requests only when everything is logged; the line has the browser's own text."""
        _log.debug("--web: %r", format % args)


def _empty_page() -> bytes:
    """Return the page without data: it gets them as its first event."""
    inputs = Inputs(runs=[RunRows().row("live")])
    return page.render(inputs, title=_TITLE, is_live=True).encode()
