"""Where threads and processes of a server may run."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from rpw_fixture import Action, Server, processors

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="threads can be held on Linux only"),
    pytest.mark.skipif(
        not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
        reason="this machine has one processor",
    ),
]


def test_threads_started_together_share_a_processor_and_the_caller_is_free() -> None:
    before = os.sched_getaffinity(0)
    seen: list[set[int]] = []

    def note() -> None:
        seen.append(os.sched_getaffinity(0))

    def start() -> None:
        for _ in range(2):
            thread = threading.Thread(target=note)
            thread.start()
            thread.join()

    processors.call_together(start)
    first, second = seen
    assert first == second
    assert len(first) == 1
    assert first < before == os.sched_getaffinity(0)


def test_what_goes_wrong_meanwhile_is_raised() -> None:
    def fail() -> None:
        raise LookupError("nothing here")

    with pytest.raises(LookupError, match="nothing here"):
        processors.call_together(fail)


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
