"""Starting one program, inside a supervisor of the spawner.

It uses posix_spawn, or a fork that applies set-up before exec. Because the supervisor has only one
thread, it can change its working directory for a moment so that a child inherits it.
Standard library only; never imported by the server.
"""

# pathlib would double the start-up time.
from __future__ import annotations

import contextlib
import errno
import marshal
import os
import resource
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

_OPEN_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)  # the server's, and every child's
_SIGNALS = tuple(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


class StartFailure(Exception):  # noqa: N818 - never leaves this file; the server raises StartError
    """A failed start: errno, text, and the stage that failed."""

    def __init__(self, code: int, text: str, stage: str) -> None:
        super().__init__(code, text, stage)


def raise_open_file_limit() -> None:
    """Raise the spawner's limit: it needs a socket and a status pipe for each process."""
    hard = _OPEN_FILES[1]
    with contextlib.suppress(OSError, ValueError):  # macOS refuses "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def lower_open_file_limit() -> None:
    """Restore the server's limit in a supervisor; its programs inherit it."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, _OPEN_FILES)


def start(program: tuple[Any, ...], cwd: bytes, standard: list[int], setup: Any) -> int:
    """Start ``program`` = (executable, argv, environment) in its own session; return its pid.

    ``standard`` becomes 0, 1 and 2; ``setup`` is described in `spawner`.
    Raises StartFailure.
    """
    if len(standard) != 3:  # the kernel drops descriptors that do not fit in the descriptor table
        raise StartFailure(errno.EMFILE, os.strerror(errno.EMFILE), "descriptors")
    try:
        os.chdir(cwd)
    except (OSError, ValueError) as error:
        raise _failure(error, "working directory") from error
    try:
        if setup is None and sys.platform == "linux":
            return _posix_spawn(program, standard)
        return _fork_and_exec(program, standard, setup or (None, [], []))
    finally:
        os.chdir("/")


def _posix_spawn(program: tuple[Any, ...], standard: list[int]) -> int:
    """Start without forking this interpreter (vfork inside libc): about half a millisecond."""
    executable, argv, environment = program
    try:
        return os.posix_spawn(
            executable,
            argv,
            environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in enumerate(standard)],
            setsid=True,
            setsigmask=(),
            setsigdef=_SIGNALS,
        )
    except (OSError, ValueError) as error:
        raise _failure(error, "executable") from error


def _fork_and_exec(program: tuple[Any, ...], standard: list[int], setup: Any) -> int:
    """Start with set-up between fork and exec; its errors come back as a failed start."""
    prepared = _prepare(setup)
    try:
        reading, writing = os.pipe()
    except OSError as error:
        raise _failure(error, "descriptors") from error
    try:
        pid = os.fork()
    except OSError as error:  # a limit on processes
        os.close(reading)
        os.close(writing)
        raise _failure(error, "fork") from error
    if pid == 0:
        _become(program, standard, prepared, writing)
    os.close(writing)
    with open(reading, "rb") as pipe:
        report = pipe.read()  # ends when exec closes the other end
    if report:
        os.waitpid(pid, 0)
        raise StartFailure(*marshal.loads(report))  # noqa: S302 - written by our own fork
    return pid


def _become(
    program: tuple[Any, ...], standard: list[int], prepared: list[Any], errors: int
) -> NoReturn:
    stage = "session"
    try:
        os.setsid()
        for target, descriptor in enumerate(standard):
            os.dup2(descriptor, target)
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            _restore_default(number)
        for stage, apply, argument in prepared:  # noqa: B007 - reported when it fails
            apply(argument)
        stage = "executable"
        os.execve(*program)  # noqa: S606 - no shell wanted
    except BaseException as error:  # noqa: BLE001 - a fork must never return into the loop
        os.write(errors, marshal.dumps(_failure(error, stage).args))
    finally:
        os._exit(127)


def _restore_default(number: int) -> None:
    with contextlib.suppress(OSError, ValueError):  # some are reserved by libc
        signal.signal(number, signal.SIG_DFL)


def _prepare(setup: Any) -> list[tuple[str, Callable[[Any], object], Any]]:
    """Return the set-up as (stage, function, argument), in the order in which they are applied.

    Limits come last, so that they do not restrict the steps; raised limits come first, because a step
    may drop the privilege to raise them.
    """
    umask, limits, steps = setup
    settings = [(resource.RLIMIT_NOFILE, *_OPEN_FILES), *limits]
    prepared: list[tuple[str, Callable[[Any], object], Any]] = [
        ("limits", _Limit(number), (soft, hard))
        for number, soft, hard in settings
        if _is_raised(number, hard)
    ]
    for path, function, argument in steps:
        stage = f"setup step {function}"
        try:
            prepared.append((stage, _load(path)[function], argument))
        except Exception as error:
            raise _failure(error, stage) from error
    if umask is not None:
        prepared.append(("umask", os.umask, umask))
    for number, soft, hard in settings:
        prepared.append(("limits", _Limit(number), (soft, hard)))
    return prepared


def _is_raised(number: int, hard: int) -> bool:
    current = resource.getrlimit(number)[1]
    return current != resource.RLIM_INFINITY and not 0 <= hard <= current


class _Limit:
    """A function that sets one resource limit on the calling process."""

    __slots__ = ("_number",)

    def __init__(self, number: int) -> None:
        self._number = number

    def __call__(self, values: tuple[int, int]) -> None:
        resource.setrlimit(self._number, values)


_loaded: dict[str, dict[str, Any]] = {}


def _load(path: str) -> dict[str, Any]:
    """Run a Python file once and return its names; before the fork, so that it costs time only once."""
    if path not in _loaded:
        with open(path, "rb") as file:
            code = compile(file.read(), path, "exec")
        names: dict[str, Any] = {"__name__": "spawner_setup", "__file__": path}
        exec(code, names)  # noqa: S102 - a file that the server chose
        _loaded[path] = names
    return _loaded[path]


def _failure(error: BaseException, stage: str) -> StartFailure:
    if isinstance(error, OSError) and error.errno:
        return StartFailure(error.errno, error.strerror or str(error), stage)
    return StartFailure(errno.EINVAL, f"{type(error).__name__}: {error}", stage)
