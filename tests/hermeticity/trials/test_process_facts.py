"""What is read from /proc is what psutil says."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import psutil
import pytest

from rpw_fixture.hermeticity.trials import process_facts
from tests import waiting


def test_own_process() -> None:
    own = process_facts.family(os.getpid())[0]
    known = psutil.Process()
    assert (own.pid, own.name, own.threads) == (os.getpid(), known.name(), known.num_threads())
    times = known.cpu_times()
    assert own.cpu_seconds == pytest.approx(times.user + times.system, abs=2.0)
    assert not own.is_zombie
    assert process_facts.memory(own.pid) == pytest.approx(known.memory_info().rss, rel=0.2)
    assert process_facts.descriptors(own.pid) == known.num_fds()


@pytest.mark.parametrize("name", ["sleep", "a sleep) with (a very long name", "fifteen-letters"])
def test_names_of_children(tmp_path: Path, name: str) -> None:
    program = shutil.copy(shutil.which("sleep") or "", tmp_path / name)
    with subprocess.Popen([program, "60"]) as child:
        try:
            found = {each.pid: each for each in process_facts.family(os.getpid())}
            assert found[child.pid].name == psutil.Process(child.pid).name() == name
        finally:
            child.kill()
            waiting.until(lambda: process_facts.family(child.pid)[0].is_zombie)
    assert process_facts.family(child.pid) == []
    with pytest.raises(OSError, match=str(child.pid)):
        process_facts.memory(child.pid)
