"""Where threads and processes of a server may run."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

import pytest

from rpw_fixture import Action, Server
from rpw_fixture.support import cpu_affinity
from rpw_fixture.support.cpu_affinity import Processor

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="threads can be held on Linux only"),
    pytest.mark.skipif(
        not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
        reason="this machine has one processor",
    ),
]


@pytest.fixture(autouse=True)
def _own_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims count for the whole machine, where other tests have servers too."""
    monkeypatch.setattr(cpu_affinity, "_CLAIM", f"\0rpw_fixture/test-{os.getpid()}/{{}}")


def test_threads_share_a_processor_and_the_caller_is_free() -> None:
    before = os.sched_getaffinity(0)
    with Processor() as processor:
        first, second = affinities(processor)
    assert first == second
    assert len(first) == 1
    assert first < before == os.sched_getaffinity(0)


def test_each_has_its_own_and_who_comes_late_is_free() -> None:
    everywhere = os.sched_getaffinity(0)
    with contextlib.ExitStack() as stack:
        held = [affinities(stack.enter_context(Processor()))[0] for _ in range(len(everywhere) + 1)]
        one, *_, late = held
    numbers = [number for each in held if len(each) == 1 for number in each]
    assert len(set(numbers)) == len(numbers)
    assert one < everywhere
    assert late == everywhere


def test_a_processor_is_free_again_once_it_is_closed() -> None:
    with Processor() as processor:
        (held,) = affinities(processor)[0]
        assert cpu_affinity._claimed(held) is None
    claim = cpu_affinity._claimed(held)
    assert claim is not None
    claim.close()


def test_where_the_kernel_refuses_threads_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    everywhere = os.sched_getaffinity(0)

    def refuse(*_: object) -> None:
        raise PermissionError

    with Processor() as processor:
        monkeypatch.setattr(os, "sched_setaffinity", refuse)
        assert affinities(processor) == [everywhere] * 2
    ran = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0} if pid == 0 else {0, 1})
    with cpu_affinity.anywhere():
        ran.append(True)
    assert ran


def test_what_goes_wrong_meanwhile_is_raised() -> None:
    def fail() -> None:
        raise LookupError("nothing here")

    with Processor() as processor, pytest.raises(LookupError, match="nothing here"):
        processor.hold(fail)


def test_a_server_s_threads_stay_together_and_its_processes_run_anywhere() -> None:
    script = "import os; print(sorted(os.sched_getaffinity(0)))"
    everywhere = os.sched_getaffinity(0)
    with Server() as server:
        result = server.run(Action(arguments=[sys.executable, "-c", script]))
        held = {
            tuple(os.sched_getaffinity(each.native_id))
            for each in threading.enumerate()
            if each.native_id and each.name.startswith(("rpw-call", "rpw-job"))
        }
    assert result.stdout.decode().strip() == str(sorted(everywhere))
    assert len(held) == 1
    assert len(held.pop()) == 1
    assert os.sched_getaffinity(0) == everywhere


def affinities(processor: Processor) -> list[set[int]]:
    """Where two threads may run that were started one after the other."""
    seen: list[set[int]] = []

    def start() -> None:
        for _ in range(2):
            thread = threading.Thread(target=lambda: seen.append(os.sched_getaffinity(0)))
            thread.start()
            thread.join()

    processor.hold(start)
    return seen
