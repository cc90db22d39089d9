"""A server with one kind of isolation, and around it what its processes might try to reach."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from rpw_fixture import Action
from rpw_fixture.client import Client
from rpw_fixture.support.closing import Closeable
from tests.server_process import OURS, ServerProcess

from .table import rows

HERE = Path(__file__).parent
ROWS = tuple(rows())
PYTHON = (sys.executable, "-E", "-s", "-S")
#: A number that no account has.
USER = 54321
#: Attempts at what is not there, and attempts that the kernel refuses.
_HIDDEN = frozenset(
    {"ENOENT", "ESRCH", "ENXIO", "ENODEV", "ECONNREFUSED", "ENETUNREACH", "ENOKEY", "ENOTDIR"}
)
_DEVICES = ("/dev/kmsg", "/dev/mem", "/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/loop-control")


class Machine(Closeable):
    """A server, a neighbour, folders, all of one user.

    Args:
        kind: of isolation.
        prefix: starts a command as that user.
        user: the id of the user.

    Attributes:
        facts: for the attempts.
        worker_status: of a worker, as in /proc.
    """

    def __init__(self, kind: str, prefix: tuple[str, ...], user: int) -> None:
        self.kind = kind
        self._prefix = prefix
        self.user = user
        self.token = uuid.uuid4().hex
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

    @cached_property
    def behind(self) -> Mapping[str, str]:
        """What comes of each attempt by an action of the server."""
        action = Action(
            arguments=(*PYTHON, "attempts", json.dumps(self.facts)),
            inputs={
                **{f"attempts/{each.name}": each for each in (HERE / "attempts").glob("*.py")},
                **dict.fromkeys(("declared.txt", "other.txt"), self.token),
            },
            outputs=("out.txt",),
        )
        with self._watching() as baits:
            outcome = self._client.run(action, check=False)
        assert outcome.exit_code == 0, (outcome.message, outcome.stderr)
        return self._judge(outcome.stdout, baits, b"".join(outcome.outputs.values()))

    @cached_property
    def directly(self) -> Mapping[str, str]:
        """What comes of the same attempts without a server; without capabilities if it isolates."""
        place = self.folder / "direct"
        place.mkdir()
        for name in ("declared.txt", "other.txt"):
            (place / name).write_text(self.token)
            (place / name).chmod(0o444)
        self._give(place)
        weak = ["--weak"] if self.kind != "none" else []
        command = [*PYTHON, str(HERE / "attempts"), json.dumps(self.facts), *weak]
        with self._watching() as baits:
            ran = subprocess.run(
                [*self._prefix, *command],
                cwd=place,
                env={},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                start_new_session=True,
            )
        assert ran.returncode == 0, ran.stderr
        return self._judge(ran.stdout, baits, b"")

    @contextmanager
    def _watching(self) -> Iterator[dict[str, bool]]:
        """Make a folder for each attempt; afterwards the value says whether it has changed."""
        baits = Path(self.facts["baits"])
        baits.mkdir()
        for row in ROWS:
            self._fill(baits / row.probe)
        self._give(baits)
        before = {row.probe: snapshot(baits / row.probe) for row in ROWS}
        changed: dict[str, bool] = {}
        try:
            yield changed
            changed |= {each: before[each] != snapshot(baits / each) for each in before}
        finally:
            shutil.rmtree(baits)

    def _judge(self, printed: bytes, changed: Mapping[str, bool], outputs: bytes) -> dict[str, str]:
        results = json.loads(printed)
        network = str(Path("/proc/self/ns/net").readlink())
        judged = {}
        for row in ROWS:
            result, is_made = results[row.probe], self._remove_made(row.probe)
            is_touched = changed[row.probe] or is_made
            if "error" in result:
                assert not is_touched, row.probe
                judged[row.probe] = "hidden" if result["error"] in _HIDDEN else "refused"
                continue
            reached = {
                "secret": self.token in result["value"],
                "change": changed[row.probe],
                "file": is_made,
                "output": self.token.encode() in outputs,
                "network": result["value"] == network,
                "success": True,
                "never": is_touched,
            }
            judged[row.probe] = "open" if reached[row.evidence] else "own"
        return judged

    def _remove_made(self, probe: str) -> bool:
        """Remove the file that some attempts create in a place of others; whether there is one."""
        folders = ("/tmp", "/dev/shm", self.facts["other_root"], self.facts["other_tmp"])
        candidates = (*folders, os.path.dirname(self.facts["blob"]))
        paths = [Path(each, f"{self.facts['file']}-{probe}") for each in candidates]
        found = [each for each in paths if each.exists()]
        for each in found:
            each.unlink(missing_ok=True)
        return bool(found)

    def _build(self) -> dict[str, str]:
        """Make the folders; return the server's environment."""
        self.folder.chmod(0o755)
        for name in ("home", "tmp"):
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
        resident = self._start_resident()
        self.worker_status: Mapping[str, str] = resident["status"]
        places = resident["places"]
        store = self.folder / "store"
        blobs = (each for each in (store / "cas").rglob("*") if each.is_file())
        (spawner,) = psutil.Process(self._server.pid).children()
        devices = [each for each in _DEVICES if Path(each).exists()]
        return {
            "server": self._server.pid,
            "spawner": spawner.pid,
            "server_port": int(self._server.address.rpartition(":")[2]),
            "file": f"rpw-{self.token}",
            "baits": str(self.folder / "baits"),
            "home": str(self.folder / "home"),
            "other_root": places[0],
            "other_tmp": places[1],
            "blob": next(str(each) for each in blobs if each.read_bytes() == self.token.encode()),
            "action_cache": str(store / "ac"),
            "set_user_id": str(self.folder / "readable" / "id"),
            "device": devices[0] if devices else "/dev/no-such-device",
        }

    def _start_resident(self) -> dict[str, Any]:
        """Start a worker that stays; return what it says of itself."""
        resident = Action(
            arguments=(*PYTHON, "resident.py"),
            flagfile=(self.token,),
            tool_inputs={"resident.py": HERE / "resident.py"},
            inputs={"declared.txt": self.token},
            worker_key="resident",
            protocol="json",
        )
        outcome = self._client.run(resident)
        said: dict[str, Any] = json.loads(outcome.stdout or outcome.stderr)
        return said

    def _fill(self, bait: Path) -> None:
        """Make what an attempt may aim at."""
        bait.mkdir()
        (bait / "secret.txt").write_text(self.token)
        (bait / f"named-{self.token}").touch()
        (bait / "link").symlink_to(f"to-{self.token}")
        (bait / "program").write_text(f"#!/bin/sh\necho {self.token}\n")
        (bait / "program").chmod(0o755)

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
