"""A worker that writes down what it was given: the whole of it is its output.

Arguments of a request:

--out PATH          where to write it
--exit N            the exit code
--say TEXT          the response's text
--noise TEXT        printed to stderr
--started PATH      a file that says that it has begun
--wait-for PATH     a file to wait for
--leave PATH        a file to write that no action declared
--overwrite PATH    a file to replace
--eat MIB           memory to keep
--id N              added to the response's request_id
--was-cancelled     of the response

It finds out by itself which protocol is spoken. Startup arguments: ``--multiplex``, and
``--on-cancel=HOW``, which is ``obey``, ``ignore``, ``answer`` (normally) or ``twice``.
"""

# ruff: noqa: E402, PTH108, PTH109, PTH110, PTH118, PTH123, PLW0603 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import json
import os
import time

import multiplex
import rpw_worker
from rpw_worker import Channel, WorkRequest, WorkResponse

ARGV = list(sys.argv)
ON_CANCEL = rpw_worker.take_value(sys.argv, "--on-cancel", "obey")
IS_MULTIPLEX = rpw_worker.take_flag(sys.argv, "--multiplex")
memory: list[bytes] = []
served = 0


class RawJson(rpw_worker.JsonCodec):
    """Keeps which fields were there."""

    def decode(self, text: bytes) -> WorkRequest:
        request = super().decode(text)
        request.raw = json.loads(text)  # type: ignore[attr-defined]
        return request


rpw_worker.JsonCodec = RawJson  # type: ignore[misc]


class Options:
    def __init__(self, arguments: list[str]) -> None:
        self.values: dict[str, str] = {}
        words = iter(arguments)
        for word in words:
            if word == "--was-cancelled":
                self.values[word] = "1"
            elif word.startswith("--"):
                self.values[word] = next(words)

    def __getitem__(self, name: str) -> str:
        return self.values.get(f"--{name}", "")


def listing(folder: str) -> list[str]:
    found = []
    for where, folders, files in os.walk(folder or "."):
        folders[:] = [each for each in folders if each != "__sandbox"]
        found += [os.path.relpath(os.path.join(where, name), folder or ".") for name in files]
    return sorted(found)


def observations(request: WorkRequest) -> dict:
    return {
        "pid": os.getpid(),
        "served": served,
        "argv": ARGV,
        "cwd": os.getcwd(),
        "env": dict(os.environ),
        "arguments": request.arguments,
        "inputs": {path: digest.hex() for path, digest in request.inputs.items()},
        "request_id": request.request_id,
        "verbosity": request.verbosity,
        "sandbox_dir": request.sandbox_dir,
        "files": listing(request.sandbox_dir),
        "raw": getattr(request, "raw", None),
    }


def probe(request: WorkRequest) -> WorkResponse:
    global served
    served += 1
    options = Options(request.expanded_arguments())
    seen = observations(request)
    if options["started"]:
        open(options["started"], "w").close()
    while options["wait-for"] and not os.path.exists(options["wait-for"]):
        request.checkpoint()
        time.sleep(0.002)
    if options["eat"]:
        memory.append(os.urandom(int(options["eat"]) << 20))
    for path, text in ((options["leave"], "left"), (options["overwrite"], "changed")):
        if path:
            place = request.resolve(path)
            if os.path.lexists(place):
                os.unlink(place)
            with open(place, "w") as file:
                file.write(text)
    if options["noise"]:
        print(options["noise"], file=sys.stderr, flush=True)
    request.checkpoint()
    if options["out"]:
        with open(request.resolve(options["out"]), "w") as file:
            json.dump(seen, file)
    response = WorkResponse(int(options["exit"] or 0), options["say"])
    response.wrong_id = int(options["id"] or 0)  # type: ignore[attr-defined]
    response.was_cancelled = bool(options["was-cancelled"])
    return response


class ProbeChannel(Channel):
    def read(self) -> WorkRequest | None:
        if self.reader.peek(1)[:1] == b"{":  # so that no argument has to name the protocol
            self.codec = self.codec if isinstance(self.codec, RawJson) else RawJson()
        return super().read()

    def write(self, response: WorkResponse) -> None:
        response.request_id += getattr(response, "wrong_id", 0)
        super().write(response)
        if response.was_cancelled and ON_CANCEL == "twice":
            super().write(response)


class Stubborn(multiplex.Multiplexer):
    def _cancel(self, request_id: int) -> None:
        if ON_CANCEL == "ignore":
            return
        if ON_CANCEL == "answer":
            with self._lock:
                known = self._running.pop(request_id, None)
            if known is not None:
                with self._write_lock:
                    self._channel.write(WorkResponse(7, "done anyway", request_id=request_id))
            return
        super()._cancel(request_id)

    def _run(self, request: WorkRequest) -> None:
        response = rpw_worker.answer(self._handle, request)
        with self._lock:
            if self._running.pop(request.request_id, None) is None:
                return
        with self._write_lock:
            self._channel.write(response)


def serve(handle: rpw_worker.Handler, channel: Channel) -> None:
    Stubborn(handle, channel).serve()


if __name__ == "__main__":
    how = serve if IS_MULTIPLEX else rpw_worker.serve
    sys.exit(rpw_worker.main(probe, channel_type=ProbeChannel, serve=how))
