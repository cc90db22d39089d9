"""Real Bazel in a temporary workspace, with its actions on a server of this package.

Here are finding Bazel, running its commands, and ending its server. What the REAPI server observed of a
build is in its events, not here.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rpw_fixture.errors import EnvironmentLacksError, RpwError
from rpw_fixture.support.closing import Closeable
from rpw_fixture.testing.bazel_flags import MARK_FLAG, marks_tool_inputs

_PROGRAMS = ("bazel", "bazelisk")
#: Variables in tests of rules_bazel_integration_test: a Bazel, and the workspace to test in.
_BIT_PROGRAM, _BIT_WORKSPACE = "BIT_BAZEL_BINARY", "BIT_WORKSPACE_DIR"
#: Seconds without a command after which a Bazel server ends, in case the tests were killed.
_MAX_IDLE = 60
_SHUTDOWN_PATIENCE = 20.0
_SHOWN_LINES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class BazelResult:
    """The result of one Bazel command.

    Attributes:
        command: its arguments, from ``build`` or ``test`` on.
        exit_code: exit code of Bazel; 0 if the command succeeded.
        stdout, stderr: its whole output.
        seconds: how long it took.
    """

    command: tuple[str, ...]
    exit_code: int
    stdout: str = field(repr=False)
    stderr: str = field(repr=False)
    seconds: float


class BazelFailedError(RpwError):
    """A Bazel command did not exit with 0; ``result`` has its output."""

    __module__ = "rpw_fixture"

    def __init__(self, result: BazelResult, advice: str = "") -> None:
        tail = "\n".join(result.stderr.rstrip().splitlines()[-_SHOWN_LINES:])
        text = f"bazel {' '.join(result.command)}: exit code {result.exit_code}\n{tail}"
        super().__init__(f"{text}\n{advice}" if advice else text)
        self.result = result


def find_bazel(environ: Mapping[str, str] = os.environ) -> str:
    """Return the path of Bazel: ``$BAZEL``, else ``$BIT_BAZEL_BINARY``, else one on PATH.

    Raises:
        EnvironmentLacksError: if there is none.
    """
    given = environ.get("BAZEL") or environ.get(_BIT_PROGRAM)
    names = [given] if given else _PROGRAMS
    for name in names:
        program = shutil.which(name, path=environ.get("PATH"))
        if program is not None:
            # Each Bazel command runs in its workspace, not here.
            return str(Path(program).absolute())
    raise EnvironmentLacksError(
        f"{' or '.join(names)} is not on PATH; install Bazel, or set $BAZEL to its path"
    )


class BazelWorkspace(Closeable):
    """A workspace folder, and a Bazel server with a separate output root.

    Args:
        program: path of Bazel, from `find_bazel`.

    Attributes:
        root: the workspace's folder; at first it has only an empty ``WORKSPACE`` and ``MODULE.bazel``, or a
            copy of ``$BIT_WORKSPACE_DIR``.
        flags: flags of every build and test, such as those that lead to the REAPI server.
        results: results of all commands since the last `reset`, for reports.
        has_one_shot_runs: whether the server ran actions one-shot since the last `reset`.
    """

    def __init__(self, program: str) -> None:
        self._program = program
        self._folder = Path(tempfile.mkdtemp(prefix=f"rpw_bazel-{os.getpid()}-")).resolve()
        self.root = self._folder / "workspace"
        self.flags: tuple[str, ...] = ()
        self.results: list[BazelResult] = []
        self.has_one_shot_runs: Callable[[], bool] = bool
        self._marks_tool_inputs: bool | None = None
        self._has_run = False
        self.reset()

    def reset(self, flags: Sequence[str] = ()) -> None:
        """Empty the workspace, and run ``bazel clean``."""
        if self._has_run:
            self.run("clean")
        if self.root.exists():
            _remove(self.root)
        self.root.mkdir(exist_ok=True)
        if given := os.environ.get(_BIT_WORKSPACE):
            self.copy(given)
        for name in ("WORKSPACE", "MODULE.bazel"):
            if not (self.root / name).exists():
                self.write(name, "")
        self.flags = tuple(flags)
        self.results = []
        self.has_one_shot_runs = bool

    def write(self, path: str, content: str | bytes, *, is_executable: bool = False) -> Path:
        """Write a file of the workspace, and its folders; return its full path."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        if is_executable:
            file.chmod(file.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        return file

    def copy(self, folder: str | Path) -> None:
        """Copy everything in ``folder`` into the workspace."""
        if not Path(folder).is_dir():
            raise EnvironmentLacksError(f"there is no folder {folder} to copy into the workspace")
        shutil.copytree(folder, self.root, dirs_exist_ok=True)

    def build(self, *targets: str, flags: Sequence[str] = (), check: bool = True) -> BazelResult:
        """Run ``bazel build`` with its actions on the server.

        Args:
            targets: labels or patterns; the default is ``//...``.
            flags: in addition to those of the workspace.
            check: raise if it fails.

        Raises:
            BazelFailedError: with the end of Bazel's stderr.
        """
        return self._checked("build", targets, flags, check=check)

    def test(self, *targets: str, flags: Sequence[str] = (), check: bool = True) -> BazelResult:
        """Run ``bazel test``; see `build`."""
        return self._checked("test", targets, ("--test_output=errors", *flags), check=check)

    def run(self, *arguments: str, timeout: float | None = 600.0) -> BazelResult:
        """Run any Bazel command; a failure does not raise.

        Args:
            arguments: the command, such as ``query``, and its arguments; no flags are added.
            timeout: seconds.

        Raises:
            subprocess.TimeoutExpired: if it takes longer.
        """
        startup = (
            f"--output_user_root={self._folder / 'root'}",
            f"--output_base={self._folder / 'base'}",
            f"--max_idle_secs={_MAX_IDLE}",
            "--nohome_rc",
        )
        self._has_run = True
        began = time.monotonic()
        done = subprocess.run(
            [self._program, *startup, *arguments],
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
        result = BazelResult(
            command=arguments,
            exit_code=done.returncode,
            stdout=done.stdout,
            stderr=done.stderr,
            seconds=time.monotonic() - began,
        )
        self.results.append(result)
        return result

    @property
    def bin(self) -> Path:
        """The folder of outputs, ``bazel-bin``."""
        return self.root / "bazel-bin"

    @property
    def marks_tool_inputs(self) -> bool:
        """Whether this Bazel marks tool inputs and sends ``persistentWorkerKey`` (from 6.0 on)."""
        if self._marks_tool_inputs is None:
            version = self.run("--version").stdout
            self.results.pop()
            self._marks_tool_inputs = marks_tool_inputs(version, self._knows_flag)
        return self._marks_tool_inputs

    @property
    def advice(self) -> str:
        """What a rule author must do with this Bazel to get persistent workers."""
        if self.marks_tool_inputs:
            return f"This Bazel marks tool inputs ({MARK_FLAG} is set)."
        return (
            "This Bazel is older than 6.0 and does not mark tool inputs. Fix: set "
            'exec_properties = {"persistentWorkerKey": "…"} of the targets, and mark the tools on '
            'the server: @pytest.mark.rpw(tool_inputs=["tools/**"]) or --tool-input.'
        )

    def shutdown(self) -> None:
        """End the Bazel server, with SIGKILL if it does not obey; the next command starts a new one."""
        pid = self._server_pid()
        try:
            if pid is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.run("shutdown", timeout=_SHUTDOWN_PATIENCE)
                    self.results.pop()
        finally:
            self._kill(pid)

    def close(self) -> None:
        """End the Bazel server and remove all folders."""
        self.shutdown()
        _remove(self._folder)

    def _checked(
        self, command: str, targets: Sequence[str], flags: Sequence[str], *, check: bool
    ) -> BazelResult:
        __tracebackhide__ = True
        marks = (MARK_FLAG,) if self.flags and self.marks_tool_inputs else ()
        plain = ("--color=no", "--curses=no", "--verbose_failures")
        result = self.run(
            command, *plain, *self.flags, *marks, *flags, "--", *(targets or ("//...",))
        )
        if check and result.exit_code:
            raise BazelFailedError(result, self.advice if self.has_one_shot_runs() else "")
        return result

    def _knows_flag(self) -> bool:
        text = self.run("help", "build", "--short").stdout
        self.results.pop()
        return MARK_FLAG.removeprefix("--") in text

    def _server_pid(self) -> int | None:
        path = self._folder / "base/server/server.pid.txt"
        return int(path.read_text()) if path.exists() else None

    def _kill(self, pid: int | None) -> None:
        """Kill a server that did not obey, unless another process has its number now."""
        if pid is None:
            return
        with contextlib.suppress(OSError):
            if str(self._folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)


def _remove(folder: Path) -> None:
    """Delete a folder in whatever state Bazel left it; log what cannot be deleted."""
    from rpw_fixture.support.removal import discard  # noqa: PLC0415 - the plugin must load fast

    discard(str(folder))
