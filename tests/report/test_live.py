"""The live page: what it sends, to whom, and that nothing is left of it."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture import Action, Config
from rpw_fixture.errors import ConfigError, EnvironmentLacksError
from rpw_fixture.events.log import EventLog
from rpw_fixture.report import live
from rpw_fixture.report.inputs import row_of
from rpw_fixture.report.live import LivePage
from rpw_fixture.report.live_rows import LiveRows
from rpw_fixture.server import Server
from tests.waiting import until

from .chromium import browsing

ECHO = Action(
    arguments=["/bin/sh", "-c", "echo made > out"], outputs=["out"], environment={"PATH": "/bin"}
)
SAMPLES = Path(__file__).parents[2] / "sample_workers" / "python"


def worker_action(key: str) -> Action:
    """An action for the good sample worker."""
    return Action(
        arguments=[sys.executable, "tools/good.py"],
        flagfile=["--in", "in.txt", "--out", "out.txt"],
        flagfile_path="a.params",
        tool_inputs={f"tools/{each}": SAMPLES / each for each in ("good.py", "rpw_worker.py")},
        inputs={"in.txt": "text"},
        outputs=["out.txt"],
        worker_key=key,
        do_not_cache=True,
    )


@contextmanager
def serving(**settings: Any) -> Iterator[Server]:
    with Server(Config(web="127.0.0.1:0", **settings)) as server:
        yield server


def get(
    server: Server, path: str = "/", method: str = "GET", **headers: str
) -> tuple[int, Any, str]:
    """Status, headers and text of an answer."""
    assert server.web_address
    address = server.web_address.removeprefix("http://").strip("/")
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request(
            method, path, headers={each.replace("_", "-"): value for each, value in headers.items()}
        )
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


@contextmanager
def following(server: Server) -> Iterator[Iterator[tuple[str, Any]]]:
    """The events that a viewer gets, as names and values."""
    assert server.web_address
    host, port = server.web_address.removeprefix("http://").strip("/").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(f"GET /events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        with connection.makefile("r", encoding="utf-8") as lines:
            while lines.readline().strip():
                pass
            yield _events(lines)


def _events(lines: Any) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in lines:
        field, _, value = line.rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def test_a_viewer_gets_what_was_and_then_what_changes() -> None:
    with serving() as server:
        server.run(ECHO)
        with following(server) as events:
            name, run = next(events)
            assert name == "reset"
            assert [each["mode"] for each in run["actions"]] == ["one-shot"]
            server.run(ECHO)
            ended: list[Any] = []
            while len([each for each in ended if each["end"] is not None]) < 1:
                name, changes = next(events)
                assert name == "changes"
                ended += changes["actions"]
            assert ended[-1]["id"] == 1
            assert changes["summary"]["actions"] == 2


def test_a_viewer_sees_why_workers_were_started_and_why_actions_got_none() -> None:
    with serving() as server, following(server) as events:
        assert next(events)[1]["worker_starts"] == []
        server.run(ECHO)
        server.run(worker_action("one"))
        server.run(worker_action("other"))
        reasons: dict[str, Any] = {}
        while len(reasons.get("worker_starts", ())) < 2:
            reasons |= next(events)[1]
        first, second = reasons["worker_starts"]
        assert first["reason"] == "first"
        assert second["reason"] == "other key"
        assert "persistentWorkerKey: 'one' → 'other'" in second["text"]
        (one_shot,) = reasons["one_shot"]
        assert (one_shot["reason"], one_shot["actions"]) == ("persistentWorkerKey is not set", 1)
        assert one_shot["remedy"]


def test_live_rows_say_the_same_as_a_report_of_the_whole_log() -> None:
    with Server() as server:
        for each in ("one", "one", "other"):
            server.run(worker_action(each))
        server.run(ECHO)
        events = server.events.snapshot()
    rows = LiveRows()
    for each in [*events, *events]:  # what is in the model already is left out
        rows.add(each)
    found, expected = rows.whole("name"), row_of(events, "name")
    assert found["worker_starts"] == expected["worker_starts"]
    for row, same in zip(found["one_shot"], expected["one_shot"], strict=True):
        assert row == {name: same[name] for name in row}
    assert {name: found[name] for name in ("actions", "workers", "summary", "end")} == {
        name: expected[name] for name in ("actions", "workers", "summary", "end")
    }


def test_viewers_see_that_the_server_has_stopped() -> None:
    server = Server(Config(web="127.0.0.1:0")).start()
    with following(server) as events:
        assert next(events)[0] == "reset"
        server.stop()
        assert [name for name, _ in events] == ["ended"]


def test_a_log_without_viewers_has_no_sink_of_the_page() -> None:
    with serving() as server:
        assert server.events._sinks == ()
        with following(server) as events:
            next(events)
            assert len(server.events._sinks) == 1
        # The server notices when it writes next that the viewer has gone.
        until(lambda: server.run(ECHO) and not server.events._sinks)


def test_a_connection_that_says_nothing_does_not_hold_up_the_end() -> None:
    server = Server(Config(web="127.0.0.1:0")).start()
    assert server.web_address
    host, port = server.web_address.removeprefix("http://").strip("/").split(":")
    with socket.create_connection((host, int(port))):
        server.stop()


def test_without_the_setting_there_is_no_page() -> None:
    with Server() as server:
        assert server.web_address is None


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 403),
        ("evil.example:80", 403),
        ("", 403),
        ("127.0.0.1:1", 200),
        ("localhost", 200),
        ("[::1]:9", 200),
    ],
)
def test_only_own_host_names_are_answered(host: str, status: int) -> None:
    with serving() as server:
        assert get(server, Host=host)[0] == status
        if status == 403:
            assert get(server, "/events", Host=host)[0] == 403


def test_pages_of_other_sites_get_nothing() -> None:
    with serving() as server:
        status, headers, _ = get(server, "/events", Sec_Fetch_Site="cross-site")
        assert status == 403
        assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_written(method: str) -> None:
    with serving() as server:
        assert get(server, method=method)[0] == 501


def test_other_paths_are_not_found() -> None:
    with serving() as server:
        for path in ("/../etc/passwd", "/events/", "/page.html", "/events?x"):
            assert get(server, path)[0] == 404


def test_the_page_has_a_strict_policy() -> None:
    with serving() as server:
        _, headers, text = get(server)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert text.startswith("<!DOCTYPE html>")


def test_the_servers_token_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    with serving(auth_token_file=str(tmp_path / "token")) as server:
        status, headers, _ = get(server)
        assert (status, headers["WWW-Authenticate"][:5]) == (401, "Basic")
        good, bad = (base64.b64encode(each).decode() for each in (b"me:secret", b"me:wrong"))
        assert get(server, Authorization=f"Basic {good}")[0] == 200
        assert get(server, Authorization=f"Basic {bad}")[0] == 401
        assert get(server, Authorization="Basic %%%")[0] == 401
        assert get(server, "/events", Authorization="Bearer wrong")[0] == 401
        assert get(server, Authorization="Bearer secret")[0] == 200


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("nothing", "is not HOST:PORT"),
        ("0.0.0.0:0", "--allow-remote"),
        ("127.0.0.1:99999", "is not HOST:PORT"),
    ],
)
def test_addresses_that_can_not_be_used_are_refused(address: str, error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        Server(Config(web=address))


def test_a_page_for_other_machines_needs_a_token() -> None:
    with pytest.raises(ConfigError, match="--auth-token-file"):
        Server(Config(web="0.0.0.0:0", allow_remote=True))


def test_an_address_in_use_is_named() -> None:
    with serving() as server:
        assert server.web_address
        taken = server.web_address.removeprefix("http://").strip("/")
        with pytest.raises(EnvironmentLacksError, match=f"--web {taken}"):
            Server(Config(web=taken)).start()


@pytest.mark.slow
def test_lanes_grow_in_a_browser_and_stop_when_paused() -> None:
    with serving() as server:
        server.run(ECHO)
        assert server.web_address
        with browsing(server.web_address) as browsed:
            browsed.page.wait_for_selector("text=one-shot process: 1")
            server.run(ECHO)
            browsed.page.wait_for_selector("text=action cache: 1")
            assert "no worker because" in browsed.text
            browsed.page.click("summary:has-text('Settings')")
            server.run(ECHO.replace(outputs=["out", "more"]))
            browsed.page.wait_for_selector("text=one-shot process: 2")
            assert browsed.page.evaluate("document.querySelector('details').open")
            browsed.go("lanes")
            browsed.page.click("button:has-text('Pause')")
            browsed.page.fill("input[type=search]", "cache")
            assert browsed.page.inner_text(".lane-status") == "1 action of 3 match"
            server.run(ECHO)
            browsed.page.wait_for_selector("text=Continue (1 changed)")
            assert browsed.page.inner_text(".lane-status") == "1 action of 3 match"
            browsed.page.click("button:has-text('Continue')")
            browsed.page.wait_for_selector("text=2 actions of 4 match")
            browsed.go("overview")
            browsed.page.wait_for_selector("text=action cache: 2")
            browsed.go("actions")
            browsed.page.fill("input[type=search]", "nothing like this")
            assert browsed.page.locator(".vspace .vrow").count() == 0
            assert browsed.complaints == []
            assert all(each.startswith(server.web_address) for each in browsed.requests)
            server.stop()
            browsed.page.wait_for_selector("text=the server has stopped")


def test_a_connection_too_many_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_MOST_CONNECTIONS", 0)
    with LivePage(EventLog(), "127.0.0.1:0") as page:
        host, _, port = page.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=60) as viewer:
            assert viewer.recv(1) == b""
