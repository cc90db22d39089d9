"""Numbers of the Linux kernel, as its headers have them, in the order in which modules use them."""

from __future__ import annotations

import importlib

import pytest

#: By module and the names of its constants: what the headers say. None of these ever changes.
NUMBERS = {
    ("launching.namespaces_step", "_NEW_MOUNTS _NEW_HOST_NAME _NEW_IPC"): (
        *(0x0002_0000, 0x0400_0000, 0x0800_0000),  # sched.h: CLONE_NEWNS, NEWUTS, NEWIPC
    ),
    ("launching.namespaces_step", "_NEW_USER _NEW_PIDS _NEW_NETWORK _ALL"): (
        *(0x1000_0000, 0x2000_0000, 0x4000_0000, 0x7C02_0000),  # CLONE_NEWUSER, NEWPID, NEWNET
    ),
    ("launching.namespaces_step", "_NO_SUID _NO_DEVICES _NO_EXEC _DETACH"): (2, 4, 8, 2),  # mount.h
    ("launching.namespaces_step", "_BIND _RECURSIVE _UNBINDABLE _PRIVATE"): (
        *(0x1000, 0x4000, 0x2_0000, 0x4_0000),  # MS_BIND, REC, UNBINDABLE, PRIVATE
    ),
    ("launching.namespaces_step", "_MOUNT_SETATTR _AT_RECURSIVE _AT_FDCWD _READ_ONLY"): (
        *(442, 0x8000, -100, 1),  # unistd.h, fcntl.h, mount.h
    ),
    ("launching.namespaces_step", "_SET_DUMPABLE _GET_INTERFACE_FLAGS _SET_INTERFACE_FLAGS _UP"): (
        *(4, 0x8913, 0x8914, 1),  # prctl.h, sockios.h: SIOCGIFFLAGS, SIOCSIFFLAGS, if.h
    ),
    ("launching.landlock_step", "_CREATE_RULESET _ADD_RULE _RESTRICT_SELF"): (444, 445, 446),
    ("launching.landlock_step", "_ASK_VERSION _PATH_BENEATH _SET_NO_NEW_PRIVS"): (1, 1, 38),
    ("launching.landlock_step", "_EXECUTE _WRITE_FILE _READ_FILE _READ_DIR"): (1, 2, 4, 8),
    ("launching.landlock_step", "_CHANGE_FOLDERS _REFER _TRUNCATE _IOCTL_DEVICE _RESOLVE_UNIX"): (
        *(0x1FF0, 0x2000, 0x4000, 0x8000, 0x1_0000),  # landlock.h: LANDLOCK_ACCESS_FS_*
    ),
    ("launching.landlock_step", "_SCOPES_SINCE _SCOPE_ABSTRACT_SOCKETS _SCOPE_SIGNALS"): (6, 1, 2),
    ("launching.privileges_step", "_READ_FROM_BOUNDING_SET _DROP_FROM_BOUNDING_SET"): (23, 24),
    ("launching.privileges_step", "_SET_NO_NEW_PRIVS _AMBIENT _CLEAR_ALL_AMBIENT"): (38, 47, 4),
    ("launching.privileges_step", "_CAPABILITY_VERSION"): (0x2008_0522,),  # capability.h
    ("hermeticity.trials.setup_steps", "_CLONE_NEWUTS _CLONE_NEWUSER"): (0x0400_0000, 0x1000_0000),
    ("hermeticity.trials.read_watch", "_IN_ACCESS _IN_OPEN _IN_ISDIR"): (1, 0x20, 0x4000_0000),
    ("hermeticity.trials.write_watch", "_IN_MODIFY _IN_MOVED _IN_CREATE _IN_DELETE _CHANGES"): (
        *(2, 0xC0, 0x100, 0x200, 0x3C2),
    ),
    ("support.mounts", "_MS_REC _MS_PRIVATE _MNT_DETACH"): (0x4000, 0x4_0000, 2),
    ("support.inotify", "QUEUE_OVERFLOW IGNORED"): (0x4000, 0x8000),  # inotify.h: IN_Q_OVERFLOW
    ("support.beneath", "_OPENAT2 _RESOLVE"): (437, 0x0F),
}


@pytest.mark.parametrize(("module", "names"), NUMBERS)
def test_numbers_are_those_of_the_headers(module: str, names: str) -> None:
    loaded = importlib.import_module(f"rpw_fixture.{module}")
    assert tuple(getattr(loaded, name) for name in names.split()) == NUMBERS[module, names]


def test_the_numbers_of_pivot_root_are_those_of_each_architecture() -> None:
    step = importlib.import_module("rpw_fixture.launching.namespaces_step")
    known = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}
    assert known == step._PIVOT_ROOT
