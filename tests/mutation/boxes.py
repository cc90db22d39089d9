"""A copy of the checkout in a box: a changed process killer or folder remover must not reach the machine.

Each box is a bubblewrap sandbox in which everything but the copy is read-only, and in which there are no
processes and no network but its own. What is started in it ends with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from tests.mutation.changes import Change

_BUBBLEWRAP = "bwrap"
#: Hidden tests of what needs cgroups or other programs skip in a box instead of failing.
_UNSET = ("RPW_FIXTURE_REQUIRE_INTEROP", "RPW_FIXTURE_LONG", "PYTEST_ADDOPTS")
_NONE: Mapping[str, str] = MappingProxyType({})


class Box:
    """A copy of the checkout in which tests run.

    Args:
        checkout: where the code comes from.
        place: a folder of the box alone, which exists and is empty.
    """

    def __init__(self, checkout: Path, place: Path) -> None:
        self.copy = place / "checkout"
        self._process: subprocess.Popen[str] | None = None
        self._is_stopped = False
        for name in _files(checkout):
            target = self.copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(checkout / name, target)

    @contextmanager
    def changed(self, change: Change) -> Iterator[None]:
        """Have ``change`` in the copy while the block runs."""
        path = self.copy / change.module
        content = path.read_bytes()
        self._write(path, change.apply(content))
        try:
            yield
        finally:
            self._write(path, content)

    def run(
        self, arguments: Sequence[str], limit: float | None, variables: Mapping[str, str] = _NONE
    ) -> subprocess.CompletedProcess[str] | None:
        """Run pytest in the box, with more variables; None when it took longer than ``limit`` seconds."""
        if self._is_stopped:
            raise InterruptedError("the box was stopped")
        environment = {name: value for name, value in os.environ.items() if name not in _UNSET}
        environment |= {"PYTHONPATH": str(self.copy), "TMPDIR": "/tmp", "HOME": "/tmp", **variables}
        command = (*self._walls(), sys.executable, "-m", "pytest", *arguments)
        with subprocess.Popen(
            command,
            cwd=self.copy,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as self._process:
            try:
                output, _ = self._process.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                self._process.kill()  # and all in the sandbox with it
                return None
            if self._is_stopped:
                raise InterruptedError("the box was stopped")
            return subprocess.CompletedProcess(command, self._process.returncode, output)

    def stop(self) -> None:
        """End what runs in the box, if anything does; nothing runs in it any more."""
        self._is_stopped = True
        if self._process is not None:
            self._process.kill()

    def _walls(self) -> tuple[str, ...]:
        copy = str(self.copy)
        return (
            *(_BUBBLEWRAP, "--die-with-parent", "--unshare-pid", "--unshare-net", "--unshare-ipc"),
            *("--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev", "--proc", "/proc"),
            *("--tmpfs", "/dev/shm", "--tmpfs", "/tmp", "--tmpfs", "/var/tmp"),
            *("--bind", copy, copy, "--cap-add", "ALL"),
        )

    @staticmethod
    def _write(path: Path, content: bytes) -> None:
        path.write_bytes(content)
        # Python takes compiled code for fresh when size and second are the same.
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink()


def why_impossible() -> str | None:
    """Return why there can be no boxes here; None when there can."""
    if shutil.which(_BUBBLEWRAP) is None:
        return "there is no bwrap here, and changed code runs in sandboxes only; install bubblewrap"
    trial = (_BUBBLEWRAP, "--ro-bind", "/", "/", "--unshare-pid", "--unshare-net", "true")
    done = subprocess.run(trial, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"bwrap makes no sandbox here: {done.stderr.strip()}"


def _files(checkout: Path) -> list[str]:
    """Return the files that git knows or would take in."""
    command = ("git", "-C", str(checkout), "ls-files", "-z", "-co", "--exclude-standard")
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [each for each in listed.split("\0") if each and (checkout / each).is_file()]
