"""Mounts for tests, which are removed at the end of a block."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


def mount_points(below: Path) -> list[str]:
    """What is mounted below a folder."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4] for line in lines]
    return [each for each in points if each.startswith(f"{below}/")]


@contextlib.contextmanager
def nothing_mounted(below: Path) -> Iterator[None]:
    """Has nothing mounted below a folder after the block."""
    try:
        yield
    finally:
        for each in reversed(mount_points(below)):
            subprocess.run(["umount", "-l", each], check=False)


def require_mounts(folder: Path) -> None:
    """Skip the test where nothing can be mounted."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    probe = folder / "probe"
    probe.mkdir()
    done = mount("-t", "tmpfs", "none", str(probe), check=False)
    if done.returncode:
        # Root without the right to mount is a container: there is nothing to require there.
        pytest.skip(f"no mount here: {done.stderr}")
    subprocess.run(["umount", str(probe)], check=True)
    probe.rmdir()


def mount(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run mount(8)."""
    return subprocess.run(["mount", *arguments], check=check, capture_output=True, text=True)


@contextlib.contextmanager
def immutable(path: Path) -> Iterator[Path]:
    """Makes a file that not even root can delete; skips where the file system has none such."""
    if os.geteuid() != 0:
        pytest.skip("making a file immutable needs root")
    path.write_text("immutable")
    done = subprocess.run(["chattr", "+i", str(path)], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no immutable files here: {done.stderr}")
    try:
        yield path
    finally:
        for each in path.parent.rglob(path.name):
            subprocess.run(["chattr", "-i", str(each)], check=False)
