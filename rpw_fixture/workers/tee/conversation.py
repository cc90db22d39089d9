"""Records the conversation of a build tool and a worker while it passes.

The bytes are passed on by `relay`; this module only reads them. It never raises: what goes wrong with
the recording must not stop the conversation.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from rpw_fixture.storage.recording_folder import RecordingFolder
from rpw_fixture.support.harmless import harmless
from rpw_fixture.wire.tool_paths import tool_paths
from rpw_fixture.wire.worker.encodings import encoding
from rpw_fixture.wire.worker.messages import FrameError, Response, ResponseDecoder
from rpw_fixture.wire.worker.protocol_names import PERSISTENT_FLAG, WorkerProtocol
from rpw_fixture.wire.worker.requests import ReceivedRequest, RequestStream
from rpw_fixture.workers.tee.input_copies import InputCopies, InputCopy
from rpw_fixture.workers.tee.output_watch import OutputWatch

_MOST_RESPONSE_BYTES = 1 << 28
#: Time limit of recorded requests in `check`, seconds.
_TIMEOUT = 60.0
#: Variables of a process and not of an action; `check` gives workers folders for the first two.
_OWN_VARIABLES = frozenset(("HOME", "TMPDIR", "PWD", "OLDPWD", "SHLVL", "_"))


@dataclass(frozen=True, slots=True, kw_only=True)
class TeedWorker:
    """The start of the worker.

    Attributes:
        command: its whole command line.
        folder: its working directory, absolute.
        environment: its variables.
        tool_globs: what the user calls a tool input; empty for a guess.
    """

    command: Sequence[str]
    folder: str
    environment: Mapping[str, str]
    tool_globs: Sequence[str] = ()

    @property
    def startup_arguments(self) -> list[str]:
        """Its command line relative to its working directory, without ``--persistent_worker``."""
        words = [each for each in self.command if each != PERSISTENT_FLAG]
        # Bazel makes the program's path absolute; other words get that path from launchers.
        return [each.replace(f"{self.folder}/", "") for each in words]


@dataclass(slots=True, kw_only=True)
class _Pending:
    request: ReceivedRequest
    inputs: Mapping[str, InputCopy]
    watch: OutputWatch
    abilities: Sequence[str]
    sent: float
    response: Response = field(default_factory=Response)


class RecordedConversation:
    """Records requests and their responses.

    Args:
        folder: of the recording.
        started: how the worker was started.
        protocol: of the worker; "" to find out.
    """

    def __init__(self, folder: RecordingFolder, started: TeedWorker, protocol: str = "") -> None:
        self._folder = folder
        self._started = started
        self._requests = RequestStream(protocol)
        self._copies = InputCopies(folder)
        self._tools: Mapping[str, InputCopy] = {}
        self._decoder: ResponseDecoder | None = None
        self._lock = threading.Lock()
        # Requests of one number are answered in their order; only singleplex workers get several.
        self._pending: dict[int, deque[_Pending]] = {}
        self._abilities: set[str] = set()
        self._is_readable = True
        self._recorded = 0
        what = f"record {folder.folder}"
        self._begin = harmless(what, self._take_request)
        self._look = harmless(what, self._take_responses)
        self._write = harmless(what, self._add)
        self._explain = harmless(what, folder.explain_gap)
        self._todo: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._writer.start()

    def keep_tools(self) -> None:
        """Keep the files that the command line names, as they are when the worker starts."""
        words = [each.rpartition("=")[2] for each in self._started.startup_arguments]
        self._tools = self._copies.take(self._started.folder, words)

    def requests(self, data: bytes) -> Iterator[bytes]:
        """Yield the build tool's bytes to pass on; before the last one of a request it is recorded."""
        if not self._is_readable:
            yield data
            return
        passed = 0
        try:
            for piece, request in self._requests.feed(data):
                if request is not None:
                    self._begin(request)
                passed += len(piece)
                if piece:
                    yield piece
        except (ValueError, TypeError, AttributeError) as error:
            self._stop_reading(f"the build tool wrote what is no request: {error}")
        if passed < len(data):
            yield data[passed:]

    def responses(self, data: bytes) -> None:
        """Look at bytes of the worker, before they are passed on."""
        if self._is_readable:
            self._look(data)

    def end(self, ending: str) -> None:
        """Record what is left, and why the rest is not.

        Args:
            ending: how the worker ended.
        """
        with self._lock:
            unanswered = [each for waiting in self._pending.values() for each in waiting]
            self._pending.clear()
        for each in unanswered:
            each.watch.close()
        if unanswered:
            self._explain(f"requests were not answered: the worker {ending}")
        elif self._is_readable and self._requests.is_within_request:
            self._explain("the build tool's last request is incomplete")
        elif self._is_readable and not self._recorded:
            self._explain(f"a worker was started and got no request; it {ending}")
        self._todo.put(None)
        self._writer.join()

    def _take_request(self, request: ReceivedRequest) -> None:
        with self._lock:
            if request.cancel:
                self._abilities.add("cancellation")
                return
            if request.request_id:
                self._abilities.add("multiplex")
            if request.sandbox_dir:
                self._abilities.add("sandbox")
            abilities = sorted(self._abilities)
        root = os.path.normpath(os.path.join(self._started.folder, request.sandbox_dir))
        inputs = self._copies.take(root, request.paths)
        watch = OutputWatch(root, request.arguments, inputs)
        pending = _Pending(
            request=request, inputs=inputs, watch=watch, abilities=abilities, sent=time.time()
        )
        with self._lock:
            self._recorded += 1
            self._pending.setdefault(request.request_id, deque()).append(pending)

    def _take_responses(self, data: bytes) -> None:
        if self._decoder is None:
            self._decoder = encoding(WorkerProtocol(self._requests.protocol or "proto")).decoder(
                _MOST_RESPONSE_BYTES
            )
        try:
            responses = self._decoder.feed(data)
        except FrameError as error:
            self._stop_reading(f"the worker broke the protocol: {error}")
            return
        for each in responses:
            self._take_response(each)

    def _take_response(self, response: Response) -> None:
        with self._lock:
            waiting = self._pending.get(response.request_id)
            pending = waiting.popleft() if waiting else None
        if pending is None:
            self._explain(
                f"a response has the request_id {response.request_id}, which no request had"
            )
        elif response.was_cancelled:
            pending.watch.close()
            self._explain("requests were cancelled")
        else:
            pending.watch.see_end()
            pending.response = response
            self._todo.put(lambda: self._write(pending))

    def _stop_reading(self, reason: str) -> None:
        """Pass everything on from here, and record nothing."""
        self._is_readable = False
        self._explain(reason)

    def _work(self) -> None:
        while (each := self._todo.get()) is not None:
            each()

    def _add(self, done: _Pending) -> None:
        made = done.watch.digests()
        inputs = {**self._tools, **done.inputs}
        startup = self._started.startup_arguments
        tools = tool_paths(startup, inputs, self._started.tool_globs) | self._tools.keys()
        environment = {
            name: value
            for name, value in sorted(self._started.environment.items())
            if name not in _OWN_VARIABLES
        }
        protocol = self._requests.protocol or "proto"
        listed = [(path, inputs[path].digest) for path in sorted(tools)]
        pool = _hash(startup, environment, protocol, listed)
        others = [(path, inputs[path].digest) for path in sorted(inputs)]
        outputs = done.watch.outputs
        self._folder.add(
            {
                "action": _hash(pool, done.request.arguments, others),
                "mnemonic": os.path.basename(next((s for s in startup if s in tools), startup[0])),
                "target": outputs[0] if outputs else "",
                "key": pool,
                "pool": pool,
                "protocol": protocol,
                "abilities": done.abilities,
                "command": startup,
                "environment": environment,
                "working_directory": "",
                "timeout": _TIMEOUT,
                "arguments": list(done.request.arguments),
                "flagfiles": [],
                "outputs": list(outputs),
                "sent": done.sent,
                "exit_code": done.response.exit_code,
                "made": [{"path": path, "digest": digest} for path, digest in made],
                "inputs": _entries(inputs, tools),
            }
        )


def _entries(inputs: Mapping[str, InputCopy], tools: AbstractSet[str]) -> list[dict[str, object]]:
    """Return the inputs as a recording lists them."""
    return [
        {
            "path": path,
            "tool": path in tools,
            "digest": each.digest,
            "executable": each.is_executable,
        }
        for path, each in sorted(inputs.items())
    ]


def _hash(*values: object) -> str:
    text = repr(values).encode(errors="surrogateescape")
    return f"{hashlib.sha256(text).hexdigest()}/{len(text)}"
