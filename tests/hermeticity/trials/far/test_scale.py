"""Many trials on a cluster with many slots: nearly as fast as the slots allow, in little memory."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from rpw_fixture.client.existing_server import ExistingServer
from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.hermeticity.trials.harness import Harness, cold
from tests.hermeticity.samples import stage

#: 3000 trials of 2 s on 100 slots with RPW_FIXTURE_LONG=1.
LONG = os.environ.get("RPW_FIXTURE_LONG") == "1"
SLOTS, SECONDS, TRIALS = (100, 2.0, 3000) if LONG else (100, 0.1, 300)
#: Most time for that, as a multiple of what the slots allow; CI says nothing about time.
MOST = 1.2 if LONG else float("inf")


def test_slots_are_full_and_memory_flat(tmp_path: Path) -> None:
    module = "tests.hermeticity.trials.far.simulated_cluster"
    command = [sys.executable, "-m", module, str(SLOTS), str(SECONDS)]
    root = Path(__file__).resolve().parents[4]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    ) as cluster:
        assert cluster.stdout is not None
        endpoint = f"grpc://127.0.0.1:{cluster.stdout.readline().strip()}"
        suite = load(stage(tmp_path / "suite", "good.py"))
        server = ExistingServer(endpoint=endpoint)
        before = psutil.Process().memory_info().rss
        with Harness(suite, executor=server, jobs=2 * SLOTS) as harness:
            began, cpu = time.monotonic(), time.process_time()
            trials = [cold(suite.actions[0], run=run) for run in range(TRIALS)]
            threads = threading.active_count()  # ours; gRPC starts its own as it sees fit
            results = harness.run_all(trials)
            took, cpu = time.monotonic() - began, time.process_time() - cpu
            assert threading.active_count() < threads + 12
        assert {each.outcomes[0].exit_code for each in results} == {0}
        ran, most = map(int, cluster.communicate()[0].split())
    memory = (psutil.Process().memory_info().rss - before) >> 20  # other tests have theirs
    print(f"{took:.1f} s, ideal {TRIALS * SECONDS / SLOTS:.1f} s; {cpu:.1f} s CPU; {memory} MiB")
    assert ran == TRIALS + 1
    assert most <= SLOTS
    assert took <= MOST * TRIALS * SECONDS / SLOTS
    assert memory < 300
