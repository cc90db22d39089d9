"""A real Bazel with a separate workspace, server and output root.

This module starts Bazel, reads what it built and printed, and ends it. workspace_files.py has the files
of the workspace.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from .workspace_files import compile_java_worker, lay_out

#: How Bazel 4 runs actions itself, for comparison.
LOCAL = ("--spawn_strategy=local",)
LOCAL_WORKERS = (
    "--spawn_strategy=worker,local",
    "--experimental_worker_allow_json_protocol",
    "--worker_verbose",
    "--worker_max_instances=2",
)
#: A tool of the workspace, for tests that change it, and all actions that use it.
GOOD_TOOL = "tools/python/good.py"

# Bazel's Execute has no deadline, so a server that never answers would block a build without end.
_BUILD_TIMEOUT = 120.0
_SHUTDOWN_TIMEOUT = 20.0
# By default, Bazel sends one action per local processor at a time: too few to fill the pools.
_JOBS = 16
_EXECUTE = b"build.bazel.remote.execution.v2.Execution/Execute"
_PROPERTY = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """What one ``bazel build`` did.

    Attributes:
        exit_code: Bazel's own; 0 when everything was built.
        stderr: all that Bazel said.
        seconds: how long the command took.
        outputs: the bytes of every file in ``bazel-bin``, by relative path; no flagfiles.
        executes: Execute calls in Bazel's own log of its gRPC calls, retries included.
    """

    exit_code: int
    stderr: str
    seconds: float
    outputs: Mapping[str, bytes]
    executes: int

    @property
    def processes(self) -> dict[str, int]:
        """Bazel's count of actions by where they ran: ``{"remote": 41, "internal": 1}``."""
        line = re.search(r"INFO: \d+ process(?:es)?: (.*)\.", self.stderr)
        parts = re.findall(r"(\d+) ([a-z -]+)", line[1]) if line else []
        return {where.strip(): int(count) for count, where in parts}

    @property
    def local_worker_starts(self) -> int:
        """How many persistent workers Bazel itself started (with ``--worker_verbose``)."""
        return self.stderr.count("INFO: Created new non-sandboxed ")


class BazelWorkspace:
    """A laid out workspace and the Bazel server that serves it alone.

    Everything is below one short temporary folder, which `close` removes after the server's end.

    Args:
        bazel: the program.
        jdk: home of the JDK that compiles and runs the Java worker.
        tls: jar and library of netty-tcnative, without which this Bazel has no TLS.
    """

    def __init__(self, bazel: Path, jdk: Path, tls: tuple[Path, Path] | None = None) -> None:
        self._bazel = bazel
        self._jdk = jdk
        self._folder = Path(tempfile.mkdtemp(prefix="rpw-bazel-"))
        self.root = self._folder / "workspace"
        self._output_base = self._folder / "base"
        self._java_worker = self._folder / "compiler.jar"
        self._tls_options = [] if tls is None else _tls_options(self._folder, *tls)
        # Where that library is only unpacked, what it needs lies beside it.
        self._libraries = {} if tls is None else {"LD_LIBRARY_PATH": str(tls[1].parents[1])}
        try:
            compile_java_worker(self._java_worker, jdk=jdk)
            self.restore()
        except BaseException:
            shutil.rmtree(self._folder)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def restore(self) -> None:
        """Puts every file of the workspace back to what it was at the start."""
        lay_out(self.root, java_worker=self._java_worker, jdk=self._jdk)

    def use_worker_keys(self, *, enabled: bool) -> None:
        """Gives the targets their platform properties, or takes all of these away."""
        path = self.root / "properties.bzl"
        self.restore()
        if not enabled:
            path.write_text(_PROPERTY.sub("{}", path.read_text()))

    def edit_tool(self, path: str = GOOD_TOOL) -> None:
        """Appends a comment to a tool, which changes its digest and nothing that it does."""
        with (self.root / path).open("a", encoding="utf-8") as file:
            file.write("# edited\n")

    def build(self, *targets: str, flags: Sequence[str] = LOCAL) -> BuildResult:
        """Runs ``bazel build``; a failed build is a result, not an exception.

        Args:
            targets: labels or patterns, by default everything.
            flags: how to build: `LOCAL`, `LOCAL_WORKERS` or the flags of a remote executor.

        Raises:
            subprocess.TimeoutExpired: when it takes longer than two minutes.
        """
        log = self._folder / "grpc.log"
        log.unlink(missing_ok=True)
        begin = time.monotonic()
        done = self._run(
            "build",
            "--color=no",
            "--curses=no",
            "--verbose_failures",
            "--keep_going",
            f"--jobs={_JOBS}",
            f"--experimental_remote_grpc_log={log}",
            *flags,
            *(targets or ("//...",)),
        )
        return BuildResult(
            exit_code=done.returncode,
            stderr=done.stderr,
            seconds=time.monotonic() - begin,
            outputs=self._read_outputs(),
            executes=log.read_bytes().count(_EXECUTE) if log.exists() else 0,
        )

    def clean(self) -> None:
        """Makes Bazel forget every output and every action it has run."""
        done = self._run("clean")
        assert done.returncode == 0, done.stderr

    def shutdown(self) -> None:
        """Ends the Bazel server; the next build starts one that knows nothing of earlier builds."""
        done = self._run("shutdown", timeout=_SHUTDOWN_TIMEOUT)
        assert done.returncode == 0, done.stderr

    def close(self) -> None:
        """Ends the Bazel server, by force if need be, and removes the temporary folder."""
        pid = self._server_pid()
        try:
            with suppress(subprocess.TimeoutExpired):
                self._run("shutdown", timeout=_SHUTDOWN_TIMEOUT)
        finally:
            self._kill(pid)
            _remove(self._folder)

    def _run(
        self, command: str, *arguments: str, timeout: float = _BUILD_TIMEOUT
    ) -> subprocess.CompletedProcess[str]:
        """One Bazel command; of the rc files only the system's, which Debian's Bazel needs."""
        startup = (
            f"--output_user_root={self._folder / 'root'}",
            f"--output_base={self._output_base}",
            "--nohome_rc",
            "--noworkspace_rc",
            "--host_jvm_args=-Xmx512m",
            *self._tls_options,
            "--max_idle_secs=600",
        )
        home = {"PATH": os.environ["PATH"], "HOME": str(self._folder)}
        environment = {**home, **self._libraries}
        return subprocess.run(
            [str(self._bazel), *startup, command, *arguments],
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def _read_outputs(self) -> dict[str, bytes]:
        folder = self.root / "bazel-bin"
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and path.suffix != ".params"
        }

    def _server_pid(self) -> int | None:
        path = self._output_base / "server/server.pid.txt"
        return int(path.read_text()) if path.exists() else None

    def _kill(self, pid: int | None) -> None:
        """Ends a server that did not obey, unless its number is another process's by now."""
        if pid is None:
            return
        with suppress(FileNotFoundError, ProcessLookupError):
            if str(self._output_base).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)


def _tls_options(folder: Path, jar: Path, library: Path) -> list[str]:
    """Startup options that have Bazel's netty find its TLS library, under the name it looks for."""
    libraries = folder / "libraries"
    libraries.mkdir()
    shutil.copyfile(library, libraries / "libnetty_tcnative.so")
    return [
        f"--host_jvm_args=-Xbootclasspath/a:{jar}",
        f"--host_jvm_args=-Djava.library.path={libraries}",
    ]


def _remove(folder: Path) -> None:
    """Deletes a tree in which Bazel took the write permission from every output folder."""
    for path, _, _ in os.walk(folder):
        Path(path).chmod(0o700)
    shutil.rmtree(folder)
