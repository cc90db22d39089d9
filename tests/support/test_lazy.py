"""What is built when it is first asked for."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from rpw_fixture import Action, Server
from rpw_fixture.errors import Code, ConfigError, RequestError
from rpw_fixture.support.closing import Closeable
from rpw_fixture.support.lazy import Lazy


class Thing(Closeable):
    is_closed = False

    def close(self) -> None:
        self.is_closed = True


def test_one_is_built_however_many_ask_at_once() -> None:
    all_here = threading.Barrier(8)
    built: list[Thing] = []
    seen: list[Thing] = []

    def build() -> Thing:
        built.append(Thing())
        return built[-1]

    late = Lazy(build)

    def ask() -> None:
        all_here.wait()
        seen.append(late.get())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(built) == 1
    assert seen == built * 8
    late.close()
    assert built[0].is_closed


def test_nothing_is_built_for_the_sake_of_being_closed() -> None:
    late = Lazy(lambda: pytest.fail("it was built"))
    assert late.known is None
    late.close()
    with pytest.raises(RequestError) as caught:
        late.get()
    assert caught.value.code is Code.UNAVAILABLE


def test_what_failed_is_tried_again() -> None:
    failures = [ConfigError("not yet")]

    def build() -> Thing:
        if failures:
            raise failures.pop()
        return Thing()

    with Lazy(build) as late:
        with pytest.raises(ConfigError, match="not yet"):
            late.get()
        assert late.known is None
        assert late.get() is late.known


def test_a_prepared_server_serves_like_any_other() -> None:
    server = Server()
    server.prepare()  # it does not run yet: nothing to prepare
    with server:
        server.prepare()
        server.reset()
        assert server.run(Action(arguments=("/bin/echo", "x"))).stdout == b"x\n"
    server.prepare()


def test_a_server_is_ready_before_it_has_loaded_what_executes() -> None:
    code = (
        "import sys, rpw_fixture\n"
        "with rpw_fixture.Server() as server:\n"
        "    for late in ('execution.engine', 'wire.canonical', 'events.kinds'):\n"
        "        assert f'rpw_fixture.{late}' not in sys.modules\n"
        "    server.prepare()\n"
        "    assert 'rpw_fixture.execution.engine' in sys.modules\n"
        "with rpw_fixture.Server(tool_inputs=('tools/**',)):\n"
        "    pass\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
