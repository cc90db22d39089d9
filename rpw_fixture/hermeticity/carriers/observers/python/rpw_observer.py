"""The observer in a Python worker: answers the check's messages while the worker waits for a request.

`sitecustomize` starts it. It holds no thread: the socket raises a signal when a message has come, and the
answer is made in the signal's handler, in the main thread. Python goes on waiting for stdin after that.
Works with Python 3.8 and later; the other files here are loaded when the first message comes.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FOLDER = __file__.rpartition("/")[0]
_PARTS = (
    *("rpw_text", "rpw_names", "rpw_contents", "rpw_objects", "rpw_process"),
    *("rpw_walk", "rpw_state", "rpw_lines", "rpw_growth"),
)
_SECONDS = 3.0
#: Events that start programs, and which of their arguments is the environment.
_STARTS = {"os.exec": 2, "os.posix_spawn": 2, "subprocess.Popen": 3}


class PrivateParts:
    """Modules that the observer imports and the tool does not see, and its own files."""

    def __init__(self) -> None:
        self.parts: dict[str, Any] = {}
        self.is_loaded = False

    def load(self) -> None:
        """Load the observer's own files, with the standard library's modules that they need."""
        if self.is_loaded:
            return
        self.is_loaded = True
        known = set(sys.modules)
        path = sys.path[:]
        # The tool may have modules of the same names.
        sys.path[:] = [each for each in path if _is_of_python(each)]
        try:
            for name in _PARTS:
                self.parts[name] = run_file(name, self.parts)
            import json

            # The tool may replace functions and attributes of the module later.
            self.loads = json.JSONDecoder().decode
            self.dumps = json.JSONEncoder(separators=(",", ":")).encode
        finally:
            sys.path[:] = path
            for name in set(sys.modules) - known:
                if not _is_builtin(sys.modules[name]):
                    del sys.modules[name]


def run_file(name: str, parts: dict[str, Any]) -> Any:
    """Run a file of this folder and return its names, without a trace in ``sys.modules``."""
    path = f"{_FOLDER}/{name}.py"
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    module = type(sys)(name)
    module.__file__ = path
    vars(module).update(parts)
    exec(code, vars(module))  # noqa: S102 - our own file
    return module


def _is_of_python(path: str) -> bool:
    return path.startswith((sys.prefix, sys.base_prefix, sys.exec_prefix))


def _is_builtin(module: Any) -> bool:
    """Return whether a module is written in C; such a module must not be loaded twice."""
    try:
        file = getattr(module, "__file__", None)
    except Exception:
        return True
    return file is None or not file.endswith((".py", ".pyc"))


class WorkerObserver:
    """The connection to the check, and what the worker's state is asked through.

    Args:
        address: path of a Unix socket, or host and port.
        kept: variables that the tool does not see, and other programs get.
        rest: the folders of PYTHONPATH without the observer's.
    """

    def __init__(self, address: str, kept: dict[str, str], rest: list[str]) -> None:
        import _socket

        self._kept = kept
        self._rest = rest
        self._private = PrivateParts()
        self._buffer = b""
        self._state: Any = None
        self._lines: Any = None
        self._growth: Any = None
        self._is_busy = self._is_waiting = False
        host, _, port = address.rpartition(":")
        if port.isdigit() and not address.startswith("/"):
            self._socket = _socket.socket(_socket.AF_INET)
            self._socket.connect((host, int(port)))
        else:
            self._socket = _socket.socket(_socket.AF_UNIX)
            self._socket.connect(address)
        self._socket.sendall(b'{"runtime": "python", "pid": %d}\n' % os.getpid())
        self.signal = _ask_for_signals(self._socket, self._on_signal)
        os.register_at_fork(after_in_child=self._socket.close)

    def _on_signal(self, _number: int, _frame: object) -> None:
        # A signal that comes while a message is answered only says that there is another one.
        self._is_waiting = True
        while self._is_waiting and not self._is_busy:
            self._is_busy = True
            self._is_waiting = False
            try:
                self._receive()
            except BaseException:
                pass
            self._is_busy = False

    def _receive(self) -> None:
        self._socket.setblocking(False)
        while True:
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                break
            if not data:
                break
            self._buffer += data
        while b"\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\n")
            answer = self._answer(line)
            self._socket.settimeout(_SECONDS)
            self._socket.sendall(self._private.dumps(answer).encode() + b"\n")

    def _answer(self, line: bytes) -> dict[str, Any]:
        import gc

        was_enabled = gc.isenabled()
        gc.disable()  # millions of small objects are made in a moment
        try:
            self._private.load()
            message = self._private.loads(line.decode())
            return self._do(message)  # type: ignore[no-any-return]
        except BaseException as error:
            return {"error": f"{type(error).__name__}: {error}"[:200]}
        finally:
            if was_enabled:
                gc.enable()

    def _do(self, message: dict[str, Any]) -> Any:
        parts = self._private.parts
        if message["do"] == "mark":
            self._forget_variables()
            for name in message.get("load", ()):
                _load(name)
            self._state = parts["rpw_state"].ToolState(
                message.get("root", os.getcwd()), self.signal
            )
            answer = self._state.mark()
            if message.get("watch"):
                self._lines = parts["rpw_lines"].ChangingLines(self._state, message["watch"])
                self._lines.begin()
            if message.get("growth"):
                self._growth = parts["rpw_growth"].GrowthSinceMark(self._state)
            return answer
        if message["do"] == "changes":
            found = self._lines.end() if self._lines is not None else {}
            return self._state.changes(found)
        if message["do"] == "restore":
            return self._state.restore(message["ids"])
        if message["do"] == "growth":
            return self._growth.growing()
        return {"error": "unknown message"}

    def pass_on(self, environment: Any) -> None:
        """Give the variables to a program that is started with an environment, until the first message."""
        if self._state is not None or environment is None or self._is_busy:
            return
        data = getattr(environment, "_data", None)
        for name, value in self._kept.items():
            if data is not None:
                data[os.fsencode(name)] = os.fsencode(value)
            elif isinstance(environment, dict):
                environment[name] = value

    def _forget_variables(self) -> None:
        """Let programs that are started from now on run without the observer."""
        for name in self._kept:
            if name == "PYTHONPATH" and self._rest:
                os.putenv(name, os.pathsep.join(self._rest))
            else:
                os.unsetenv(name)


def _load(name: str) -> None:
    """Load a module of the tool, if that is possible before any request."""
    try:
        __import__(name)
    except Exception:
        return


def _ask_for_signals(connection: Any, handler: Any) -> int:
    """Have a signal sent to this thread when data comes; return its number."""
    import _signal  # type: ignore[import-not-found]
    import fcntl

    fd = connection.fileno()
    number = int(_signal.SIGIO)
    if sys.platform == "linux":
        import _thread

        number = int(_signal.SIGRTMIN) + 7
        fcntl.fcntl(fd, 10, number)  # F_SETSIG
        owner = (0).to_bytes(4, sys.byteorder) + _thread.get_native_id().to_bytes(4, sys.byteorder)
        _signal.signal(number, handler)
        fcntl.fcntl(fd, 15, owner)  # F_SETOWN_EX with F_OWNER_TID: the thread that waits
    else:
        _signal.signal(number, handler)
        fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_NONBLOCK | getattr(os, "O_ASYNC", 0o20000))
    return number


def start(address: str, kept: dict[str, str], rest: list[str]) -> None:
    """Connect to the check."""
    sys.addaudithook(_StartHook(WorkerObserver(address, kept, rest)))


class _StartHook:
    """Gives the variables to programs that a wrapper starts with an environment that it has copied."""

    def __init__(self, observer: WorkerObserver) -> None:
        self._observer = observer

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _STARTS:
            self._observer.pass_on(arguments[_STARTS[event]])
