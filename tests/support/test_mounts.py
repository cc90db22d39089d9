"""Mounts are seen where the kernel lists them, and none is assumed where it does not."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rpw_fixture.support import mounts
from rpw_fixture.support.mounts import MountWatch, is_mounted_below, unmount

#: Lines as of /proc/self/mountinfo.
LINES = (
    "21 1 8:1 / / rw - ext4 /dev/vda rw\n"
    "22 21 0:5 / /work/a\\040b rw - tmpfs tmpfs rw\n"
    "23 21 0:6 / /work/deep/er rw - tmpfs tmpfs rw\n"
    "24 21 0:7 / /work/longer rw - tmpfs tmpfs rw\n"
)


@pytest.mark.parametrize(
    ("path", "is_above"),
    [
        ("/work", True),
        ("/work/a b", True),
        ("/work/a b/c", False),
        ("/work/deep", True),
        ("/work/deep/er", True),
        ("/work/long", False),
        ("/elsewhere", False),
    ],
)
def test_a_mount_on_a_folder_or_below_it_is_found(
    path: str, is_above: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mountinfo").write_text(LINES)
    monkeypatch.setattr(mounts, "_INFO", str(tmp_path / "mountinfo"))
    assert is_mounted_below(path) is is_above


def test_without_the_kernels_list_no_mount_and_no_change_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts, "_INFO", str(tmp_path / "absent"))
    assert is_mounted_below("/") is False
    with MountWatch() as watch:
        assert [watch.look(), watch.look()] == [0, 0]


def test_each_look_that_notices_a_change_counts() -> None:
    news = [[], ["a change"], [], ["another"]]
    with MountWatch() as watch:
        poller = watch._poller
        replaced: Any = SimpleNamespace(poll=lambda _: news.pop(0), unregister=poller.unregister)
        watch._poller = replaced
        assert [watch.look() for _ in range(4)] == [0, 1, 1, 2]


def test_a_watch_can_be_closed_twice() -> None:
    watch = MountWatch()
    watch.close()
    watch.close()


def test_without_ctypes_nothing_is_unmounted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctypes", None)
    assert unmount(-1, "name") is False


def test_what_is_no_mount_point_is_not_unmounted(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    parent = os.open(tmp_path, os.O_RDONLY)
    try:
        assert unmount(parent, "folder") is False
        assert unmount(parent, "absent") is False
    finally:
        os.close(parent)
