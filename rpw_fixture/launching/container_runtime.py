"""The docker-compatible program of this machine, and the subcommands that are run besides actions.

They find out which program it is, whether it has an image, and which containers this program left. The
command line of an action is in `container_command`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rpw_fixture.errors import Code, EnvironmentLacksError, RequestError, failed_precondition
from rpw_fixture.launching.container_command import LABEL
from rpw_fixture.processes.spawner import Spawner, StartError

#: How long the program may take to answer a question, and to fetch an image, seconds.
_PATIENCE = 30.0
_PULL_PATIENCE = 600.0
_SHOWN = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeAnswer:
    """The output of a subcommand; ``status`` 0 means that it succeeded."""

    status: int
    stdout: str
    stderr: str

    @property
    def error_text(self) -> str:
        """The last line of stderr, which names the error."""
        text = self.stderr.strip() or f"exit status {self.status}"
        return text.splitlines()[-1][:_SHOWN]


def why_unavailable(command: str, spawner: Spawner) -> str:
    """Return why a runtime can't start containers; "" when its engine answers."""
    try:
        answer = ContainerRuntime(command, (), spawner).ask("ps", "--quiet")
    except (EnvironmentLacksError, RequestError) as error:
        return str(error)
    return answer.error_text if answer.status else ""


class ContainerRuntime:
    """Docker, Podman, or a compatible program.

    Args:
        command: name or path of the program.
        arguments: arguments before every subcommand.
        spawner: runs the program.

    Raises:
        EnvironmentLacksError: the program is not installed.
    """

    def __init__(self, command: str, arguments: Sequence[str], spawner: Spawner) -> None:
        program = shutil.which(command)
        if program is None:
            raise EnvironmentLacksError(
                f"--container-runtime {command}: not found. Fix: install it, or name another one"
            )
        self.program = os.path.abspath(program)
        self._prefix = (self.program, *arguments)
        self._spawner = spawner

    def command(self, *arguments: str) -> list[str]:
        """Return the whole command line of a subcommand."""
        return [*self._prefix, *arguments]

    @cached_property
    def is_podman(self) -> bool:
        """Whether it is Podman, whatever its name (the ``docker`` of podman-docker is Podman)."""
        return "podman" in self.ask("--version").stdout.lower()

    @cached_property
    def user_options(self) -> tuple[str, ...]:
        """Options that make files written in a container belong to this process's user.

        Without root, Podman and Docker start containers in a user namespace. Podman has an option that
        keeps this user's number there; with Docker, root in the container is this user outside.
        """
        user = f"{os.geteuid()}:{os.getegid()}"
        if os.geteuid() == 0:
            return (f"--user={user}",)
        if self.is_podman:
            return ("--userns=keep-id", f"--user={user}")
        is_rootless = "rootless" in self.ask("info", "--format={{.SecurityOptions}}").stdout
        return ("--user=0:0",) if is_rootless else (f"--user={user}",)

    def provide(self, image: str) -> None:
        """Make sure that an image is on this machine; fetch it if necessary.

        Raises:
            RequestError: FAILED_PRECONDITION when it can't be fetched.
        """
        if self.ask("image", "inspect", "--format={{.Id}}", image).status == 0:
            return
        answer = self.ask("pull", "--quiet", image, patience=_PULL_PATIENCE)
        if answer.status:
            raise failed_precondition(
                f"container-image {image} can't be fetched: {answer.error_text}"
            )

    def containers(self) -> dict[str, str]:
        """Return the name and the server of every container that any server of this kind left or runs."""
        # Podman's labels are a map; Docker's are text, with a function for them.
        value = f'index .Labels "{LABEL}"' if self.is_podman else f'.Label "{LABEL}"'
        form = f"--format={{{{.Names}}}} {{{{{value}}}}}"
        answer = self.ask("ps", "--all", f"--filter=label={LABEL}", form)
        lines = [line.split(" ") for line in answer.stdout.splitlines()]
        return {line[0]: line[1] for line in lines if len(line) == 2}

    def remove(self, names: Sequence[str]) -> None:
        """Kill and remove containers; a container that is gone already is not an error."""
        if names:
            self.ask("rm", "--force", "--volumes", *names)

    def ask(self, *arguments: str, patience: float = _PATIENCE) -> RuntimeAnswer:
        """Run a subcommand to its end and return its output.

        Raises:
            RequestError: UNAVAILABLE when it does not end in time, or can't be started.
        """
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            status = self._run(arguments, patience, out.fileno(), err.fileno())
            out.seek(0)
            err.seek(0)
            return RuntimeAnswer(
                status=status,
                stdout=out.read().decode(errors="replace"),
                stderr=err.read().decode(errors="replace"),
            )

    def _run(self, arguments: Sequence[str], patience: float, out: int, err: int) -> int:
        null = os.open(os.devnull, os.O_RDONLY)
        try:
            process = self._spawner.spawn(
                executable=self.program,
                argv=self.command(*arguments),
                env=os.environ,
                cwd="/",
                stdin=null,
                stdout=out,
                stderr=err,
            )
        except StartError as error:
            raise RequestError(Code.UNAVAILABLE, str(error)) from None
        finally:
            os.close(null)
        with process:
            ended = process.wait(patience)
        if ended is None:
            what = " ".join([os.path.basename(self.program), *arguments[:2]])
            raise RequestError(Code.UNAVAILABLE, f"{what} did not end within {patience:.0f} s")
        return ended.status
