"""A server with one kind of isolation, and around it what its processes might try to reach."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from rpw_fixture import Action
from rpw_fixture.client import Client
from rpw_fixture.closing import Closing
from tests.server_process import OURS, ServerProcess

from .table import Row

HERE = Path(__file__).parent
PYTHON = (sys.executable, "-I", "-S")
#: A number that no account has.
USER = 54321
#: Attempts at what is not there, and attempts that the kernel refuses.
_HIDDEN = frozenset(
    {"ENOENT", "ESRCH", "ENXIO", "ENODEV", "ECONNREFUSED", "ENETUNREACH", "ENOKEY", "ENOTDIR"}
)
_DEVICES = ("/dev/kmsg", "/dev/mem", "/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/loop-control")


class Machine(Closing):
    """A server, a neighbour, folders, all of one user.

    Args:
        kind: of isolation.
        prefix: starts a command as that user.
        user: the id of the user.

    Attributes:
        facts: for `probe_program`.
    """

    def __init__(self, kind: str, prefix: tuple[str, ...], user: int) -> None:
        self.kind = kind
        self._prefix = prefix
        self.user = user
        self.token = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._direct: dict[tuple[str, bool], str] = {}
        with ExitStack() as undo:
            self.folder = Path(tempfile.mkdtemp(prefix=f"rpw-machine-{self.token}-"))
            undo.callback(shutil.rmtree, self.folder)
            self.environment = self._build()
            self.facts = {**undo.enter_context(self._neighbour()), "token": self.token}
            self._server = undo.enter_context(self._serve())
            self._client = undo.enter_context(Client(self._server.endpoint))
            self.facts |= self._reachable()
            self._undo = undo.pop_all()

    def close(self) -> None:
        """End everything."""
        self._undo.close()

    def behind(self, row: Row) -> str:
        """Say what comes of an attempt by an action of the server."""
        bait = self._bait()
        facts = {**self.facts, "bait": str(bait)}
        before = snapshot(bait)
        action = Action(
            arguments=(*PYTHON, "probe_program.py", row.probe, json.dumps(facts)),
            inputs={"probe_program.py": HERE / "probe_program.py", "declared.txt": self.token},
            outputs=("out.txt",),
        )
        outcome = self._client.run(action, check=False)
        assert outcome.exit_code == 0, (outcome.message, outcome.stderr)
        outputs = b"".join(outcome.outputs.values())
        return self._judge(row, outcome.stdout, before != snapshot(bait), outputs)

    def direct(self, row: Row, *, is_weak: bool) -> str:
        """Say what comes of the same attempt without a server.

        Args:
            row: the attempt.
            is_weak: without any capability.
        """
        bait = self._bait()
        facts = {**self.facts, "bait": str(bait)}
        before = snapshot(bait)
        (bait / "inside").mkdir()
        (bait / "inside" / "declared.txt").write_text(self.token)
        (bait / "inside" / "declared.txt").chmod(0o444)
        self._give(bait / "inside")
        before = snapshot(bait)
        program = str(HERE / "probe_program.py")
        command = [*PYTHON, program, row.probe, json.dumps(facts), *["--weak"] * is_weak]
        ran = subprocess.run(
            [*self._prefix, *command],
            cwd=bait / "inside",
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            start_new_session=True,
        )
        assert ran.returncode == 0, ran.stderr
        return self._judge(row, ran.stdout, before != snapshot(bait), b"")

    def _judge(self, row: Row, printed: bytes, is_changed: bool, outputs: bytes) -> str:
        there = self._new_files()
        result = json.loads(printed)
        if "error" in result:
            assert not is_changed
            assert not there
            return "hidden" if result["error"] in _HIDDEN else "refused"
        reached = {
            "secret": self.token in result["value"],
            "change": is_changed,
            "file": there,
            "output": self.token.encode() in outputs,
            "network": result["value"] == str(Path("/proc/self/ns/net").readlink()),
            "success": True,
            "never": is_changed or there,
        }
        return "open" if reached[row.evidence] else "own"

    def _new_files(self) -> bool:
        """Whether the file that some attempts create is in a place of others; remove it."""
        names = ["/tmp", "/dev/shm", self.facts["other_root"], self.facts["other_tmp"]]
        names.append(os.path.dirname(self.facts["blob"]))
        found = [each for each in (Path(name, self.facts["file"]) for name in names) if each.exists()]
        for each in found:
            each.unlink(missing_ok=True)
        return bool(found)

    def _build(self) -> dict[str, str]:
        """Make the folders; return the server's environment."""
        self.folder.chmod(0o755)
        for name in ("home", "tmp", "baits"):
            (self.folder / name).mkdir()
        (self.folder / "home" / "secret.txt").write_text(self.token)
        self._give(self.folder)
        (self.folder / "readable").mkdir()
        other = self.folder / "readable" / "id"
        shutil.copy("/usr/bin/id", other)
        if os.geteuid() == 0:
            os.chown(other, *((65534, 65534) if self.user == 0 else (0, 0)))
        other.chmod(0o4755)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "RPW_SECRET": self.token,
        }

    @contextmanager
    def _neighbour(self) -> Iterator[dict[str, Any]]:
        command = [*PYTHON, str(HERE / "neighbour.py"), str(self.folder), self.token]
        with subprocess.Popen(
            [*self._prefix, *command],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())

    def _serve(self) -> ServerProcess:
        return ServerProcess(
            f"--isolation={self.kind}",
            f"--isolation-readable={self.folder / 'readable'}",
            f"--root={self.folder / 'store'}",
            command=[*self._prefix, *OURS],
            environment=self.environment,
        )

    def _reachable(self) -> dict[str, Any]:
        """Return where things of the server are, once it has run a worker."""
        places = self._start_resident()
        store = self.folder / "store"
        blobs = (each for each in (store / "cas").rglob("*") if each.is_file())
        (spawner,) = psutil.Process(self._server.pid).children()
        devices = [each for each in _DEVICES if Path(each).exists()]
        return {
            "server": self._server.pid,
            "spawner": spawner.pid,
            "server_port": int(self._server.address.rpartition(":")[2]),
            "file": f"rpw-{self.token}",
            "home": str(self.folder / "home"),
            "other_root": places[0],
            "other_tmp": places[1],
            "blob": next(str(each) for each in blobs if each.read_bytes() == self.token.encode()),
            "action_cache": str(store / "ac"),
            "set_user_id": str(self.folder / "readable" / "id"),
            "device": devices[0] if devices else "/dev/no-such-device",
        }

    def _start_resident(self) -> list[str]:
        """Start a worker that stays; return its exec root and its temporary folder."""
        resident = Action(
            arguments=(*PYTHON, "resident.py"),
            flagfile=(self.token,),
            tool_inputs={"resident.py": HERE / "resident.py"},
            inputs={"declared.txt": self.token},
            worker_key="resident",
            protocol="json",
        )
        outcome = self._client.run(resident)
        said: list[str] = json.loads(outcome.stdout or outcome.stderr)
        return said

    def _bait(self) -> Path:
        """Make a folder for one attempt."""
        bait = self.folder / "baits" / str(next(self._numbers))
        bait.mkdir()
        (bait / "secret.txt").write_text(self.token)
        (bait / f"named-{self.token}").touch()
        (bait / "link").symlink_to(f"to-{self.token}")
        (bait / "program").write_text(f"#!/bin/sh\necho {self.token}\n")
        (bait / "program").chmod(0o755)
        self._give(bait)
        return bait

    def _give(self, folder: Path) -> None:
        """Make a folder with all in it belong to the server's user."""
        if self.user != os.geteuid():
            for each in (folder, *folder.rglob("*")):
                os.chown(each, self.user, self.user, follow_symlinks=False)


def snapshot(folder: Path) -> Mapping[str, object]:
    """Return all that can be seen of a folder, but not when it was looked at."""
    found: dict[str, object] = {}
    for each in (folder, *sorted(folder.iterdir())):
        status = each.lstat()
        is_file = each.is_file() and not each.is_symlink()
        found[each.name] = (
            (status.st_mode, status.st_uid, status.st_nlink, status.st_size, status.st_mtime_ns),
            each.read_bytes() if is_file else None,
            tuple(os.listxattr(each, follow_symlinks=False)),
        )
    return found
