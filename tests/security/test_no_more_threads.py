"""The system has no thread left for a while: calls are refused meanwhile, and nothing is lost after."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from rpw_fixture import Action, ActionFailedError, Client, Server
from rpw_fixture.errors import Code, RequestError
from rpw_fixture.events.kinds import InternalError
from rpw_fixture.support.thread_pool import ThreadPool, ThreadStartError
from tests.server_process import ServerProcess
from tests.waiting import until

from .raw_http2 import RawClient, message

REAPI = "/build.bazel.remote.execution.v2"
CAPABILITIES = f"{REAPI}.Capabilities/GetCapabilities"
HELLO = Action(arguments=["/bin/sh", "-c", "echo hello"])


@contextlib.contextmanager
def no_more_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the interpreter raises at the limit of processes."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        yield


def status(channel: grpc.Channel) -> grpc.StatusCode:
    try:
        channel.unary_unary(CAPABILITIES, None, None)(b"", timeout=30)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def test_a_pool_without_a_thread_says_so_and_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = ThreadPool(3, "test-pool")
    with no_more_threads(monkeypatch):
        for start in (pool.start, pool.start_or_wait):
            with pytest.raises(ThreadStartError, match="limit of processes"):
                start(lambda: None)
    assert (pool.busy, pool.backlog) == (0, 0)
    assert pool.submit(divmod, 7, 2).result(10) == (3, 1)
    pool.shutdown()


def test_work_that_may_wait_is_done_by_the_threads_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool, go_on, done = ThreadPool(3, "test-pool"), threading.Event(), threading.Event()
    pool.start(lambda: bool(go_on.wait(10)))
    with no_more_threads(monkeypatch):
        with pytest.raises(ThreadStartError):
            pool.start(lambda: None)
        pool.start_or_wait(done.set)
        assert pool.backlog == 1
        go_on.set()
        assert done.wait(10)
    pool.shutdown()


def test_the_first_call_is_refused_and_the_next_one_served(
    make_rpw_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_rpw_server()
    client = RawClient(server.address)  # gRPC's own client would need threads as well
    try:
        with no_more_threads(monkeypatch):
            streams = [client.open(CAPABILITIES, message(b""), end=True) for _ in range(20)]
            client.wait(streams, 30)
            assert client.answered == set()
        with grpc.insecure_channel(server.address) as channel:
            assert status(channel) is grpc.StatusCode.OK
        assert server.run(HELLO).stdout == b"hello\n"
    finally:
        client.close()


def test_a_call_beyond_the_threads_there_are_is_refused_as_exhausted(
    make_rpw_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_rpw_server()
    with grpc.insecure_channel(server.address) as channel:
        # The first call of all: one before it could leave a second thread, which is idle by now.
        server.faults.delay("GetCapabilities", 600, first=1)
        slow = channel.unary_unary(CAPABILITIES, None, None).future(b"")
        until(lambda: any(each.hits for each in server.faults.armed))
        with no_more_threads(monkeypatch):
            codes = {status(channel) for _ in range(20)}
            assert codes == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert status(channel) is grpc.StatusCode.OK
        slow.cancel()
    assert server.events.of(InternalError) == []


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group whose number of processes and threads can be limited."""
    roots = [Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")]
    folder = None
    for root in roots:
        with contextlib.suppress(OSError):
            folder = root / f"rpw_fixture-test-{os.getpid()}"
            folder.mkdir()
            if (folder / "pids.max").exists():
                break
            folder.rmdir()
        folder = None
    if folder is None:
        pytest.skip("no control group for processes can be made here (needs root)")
    yield folder
    for pid in (folder / "cgroup.procs").read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    until(lambda: not (folder / "cgroup.procs").read_text(), "processes are left")
    folder.rmdir()


def test_a_fork_bomb_at_the_limit_of_processes_ends_nothing_but_itself(group: Path) -> None:
    """As `test_the_first_call…`, with a real limit, in a separate process."""
    enter = ["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh"]
    command = (*enter, sys.executable, "-m", "rpw_fixture", "serve", "--listen", "127.0.0.1:0")
    with ServerProcess("--jobs", "4", command=command) as process:
        with Client(process.endpoint) as client:
            assert client.run(HELLO).stdout == b"hello\n"
            current = int((group / "pids.current").read_text())
            (group / "pids.max").write_text(str(current + 4))
            with ThreadPoolExecutor(24) as pool:
                codes = set(pool.map(lambda number: _outcome(process.endpoint, number), range(24)))
            assert Code.RESOURCE_EXHAUSTED in codes
            assert codes <= {Code.OK, Code.RESOURCE_EXHAUSTED}
            (group / "pids.max").write_text("max")
            again = Action(arguments=["/bin/sh", "-c", "echo again"])
            assert client.run(again).stdout == b"again\n"
            (group / "pids.max").write_text((group / "pids.current").read_text())
        assert process.stop() == 0


def _outcome(endpoint: str, number: int) -> Code:
    """What becomes of an action that starts as many processes as it gets."""
    bomb = "for i in 1 2 3 4 5 6 7 8; do sleep 0.2 & done; wait"
    try:
        with Client(endpoint) as client:
            client.run(Action(arguments=["/bin/sh", "-c", bomb], salt=b"%d" % number))
    except RequestError as error:
        return error.code
    except ActionFailedError as error:
        return Code[error.outcome.status]
    return Code.OK
