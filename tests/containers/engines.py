"""Container engines to test with, and an image for them, made of the shell of this machine.

Podman gets a separate storage in a temporary folder, so that nothing of the user's is touched. With
Docker, what the tests add to the engine is removed again.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

IMAGE = f"localhost/rpw-fixture-test:{os.getpid()}"
PROGRAMS = ("/bin/sh", "/bin/sleep", "/bin/cat")
PATIENCE = 60.0
#: Options with which Podman runs on machines without systemd, cgroups v2 or generous limits.
PLAIN_MACHINE = (
    "--runtime=runc",
    "--cgroups=enabled",
    "--ulimit=nofile=1024:1024",
    "--ulimit=nproc=1024:1024",
)


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A docker-compatible program that works here."""

    program: str
    global_arguments: tuple[str, ...] = ()
    run_arguments: tuple[str, ...] = ()

    @property
    def settings(self) -> dict[str, Any]:
        """For a server."""
        return {
            "allow_docker": True,
            "container_runtime": self.program,
            "container_global_arguments": self.global_arguments,
            "container_arguments": self.run_arguments,
        }

    def call(self, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [self.program, *self.global_arguments, *arguments],
            input=data,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )

    def containers(self) -> list[str]:
        """Names of all containers of ours, running or not."""
        answer = self.call("ps", "--all", "--filter=name=rpw_fixture", "--format={{.Names}}")
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.decode().split()


def find(name: str, folder: Path) -> Engine:
    """The engine, with the image in it; skips the test, or fails it, where there is none."""
    program = shutil.which(name)
    if program is None:
        _give_up(name, "not on PATH (Debian: apt-get install podman runc)")
    storage = ()
    if name == "podman":
        storage = (
            f"--root={folder}/root",
            f"--runroot={folder}/run",
            "--storage-driver=vfs",
            "--cgroup-manager=cgroupfs",
            "--events-backend=none",
        )
    engine = Engine(program=program, global_arguments=storage)
    imported = engine.call("import", "-", IMAGE, data=root_file_system())
    if imported.returncode:
        _give_up(name, imported.stderr.decode())
    complaint = ""
    for options in ((), PLAIN_MACHINE):
        tried = engine.call("run", "--rm", "--network=none", *options, IMAGE, "/bin/sh", "-c", ":")
        if tried.returncode == 0:
            return Engine(program=program, global_arguments=storage, run_arguments=options)
        complaint = tried.stderr.decode()
    return _give_up(name, complaint)


def root_file_system() -> bytes:
    """A tar file with a shell, a few programs and the libraries they need."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder in ("dev", "etc", "proc", "sys", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        for path in sorted({*PROGRAMS, *_libraries()}):
            entry = tarfile.TarInfo(path.lstrip("/"))
            content = Path(path).read_bytes()
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def _libraries() -> set[str]:
    listed = subprocess.run(["ldd", *PROGRAMS], capture_output=True, text=True, check=False)
    return set(re.findall(r"(/\S+\.so\S*)", listed.stdout))


def _give_up(name: str, why: str) -> NoReturn:
    reason = f"no container can be run by {name}: {why.strip()[-300:]}"
    if name == "podman" and os.environ.get("RPW_FIXTURE_REQUIRE_INTEROP") == "1":
        pytest.fail(f"{reason}; RPW_FIXTURE_REQUIRE_INTEROP=1 demands it", pytrace=False)
    pytest.skip(reason)
