"""Recordings, read as the events that they stand for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rpw_fixture.errors import ConfigError
from rpw_fixture.events.kinds import RequestSent, WorkerStarted
from rpw_fixture.storage.recording_folder import ACTIONS_FILE
from rpw_fixture.summary.hermetic import findings_in
from rpw_fixture.summary.recordings import read_recording

SAMPLES = Path(__file__).parents[2] / "sample_workers/python"


def test_what_a_tee_recorded_can_be_explained(tmp_path: Path) -> None:
    for name in ("good.py", "rpw_worker.py"):
        (tmp_path / name).write_bytes((SAMPLES / name).read_bytes())
    (tmp_path / "in.txt").write_text("text")
    request = {
        "arguments": ["--in", "in.txt", "--out", "out.txt"],
        "inputs": [{"path": each} for each in ("in.txt", "good.py", "rpw_worker.py")],
    }
    tee = [sys.executable, "-m", "rpw_fixture", "record", "recording", "--"]
    worker = [sys.executable, "good.py", "--worker_protocol=json", "--persistent_worker"]
    lines = (json.dumps(request) + "\n").encode()
    subprocess.run([*tee, *worker], cwd=tmp_path, input=lines, capture_output=True, check=True)
    events = read_recording(tmp_path / "recording")
    assert any(isinstance(each, WorkerStarted) for each in events)
    assert sum(isinstance(each, RequestSent) for each in events) == 1


def test_an_empty_one_says_why(tmp_path: Path) -> None:
    tee = [sys.executable, "-m", "rpw_fixture", "record", "recording", "--", "true"]
    subprocess.run(tee, cwd=tmp_path, check=True)
    with pytest.raises(ConfigError, match="true was started without --persistent_worker"):
        read_recording(tmp_path / "recording")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "not a recording .*No such file"),
        (b"\xff\n", "not a recording .*not UTF-8"),
        (b"{\n", "actions.*:1: not a recorded action"),
        (b"[]\n", "actions.*:1: not a recorded action"),
        (b"{}\n", "actions.*:1: not a recorded action: KeyError"),
        (b"", "no action that ran on a worker ended"),
    ],
)
def test_what_is_no_recording_is_refused_by_name(
    content: bytes | None, words: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / ACTIONS_FILE).write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        read_recording(tmp_path)


@pytest.mark.parametrize("mnemonic", ["", "Javac"])
def test_a_recording_without_actions_on_workers_has_nothing_to_check(
    mnemonic: str, tmp_path: Path
) -> None:
    assert findings_in(tmp_path, mnemonic) == "nothing to check: no action ran on a worker"
