"""A cluster of pretence: it takes what a trial takes and answers at once as a good worker would.

Usage: python -m tests.hermeticity.trials.far.simulated_cluster SLOTS SECONDS. It prints its port, and at
the end of its stdin how many actions it ran and how many at most at the same time.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc
import grpc.aio

from rpw_fixture.hermeticity.trials.far import question as files
from rpw_fixture.hermeticity.trials.far.question import Answer
from rpw_fixture.hermeticity.trials.json_values import dumps
from rpw_fixture.wire.digests import SHA256, message_of
from rpw_fixture.wire.protos import longrunning, methods
from rpw_fixture.wire.protos import remote_execution as reapi

_REAPI = "build.bazel.remote.execution.v2"


class Cluster:
    """Slots that are taken for some seconds each, and blobs."""

    def __init__(self, slots: int, seconds: float) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._seconds = seconds
        self._blobs: dict[str, bytes] = {}
        self.ran = self.running = self.most = 0

    async def GetCapabilities(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        return reapi.ServerCapabilities(
            cache_capabilities=reapi.CacheCapabilities(digest_functions=[1]),
            execution_capabilities=reapi.ExecutionCapabilities(
                digest_function=1, exec_enabled=True
            ),
            high_api_version={"major": 2, "minor": 3},
        )

    async def FindMissingBlobs(self, request: Any, _context: Any) -> Any:  # noqa: N802
        missing = [each for each in request.blob_digests if each.hash not in self._blobs]
        return reapi.FindMissingBlobsResponse(missing_blob_digests=missing)

    async def BatchUpdateBlobs(self, request: Any, _context: Any) -> Any:  # noqa: N802
        response = reapi.BatchUpdateBlobsResponse()
        for each in request.requests:
            self._blobs[each.digest.hash] = each.data
            response.responses.add(digest=each.digest)
        return response

    async def Execute(self, request: Any, _context: Any) -> Any:  # noqa: N802
        operation = longrunning.Operation(name=request.action_digest.hash)
        yield operation
        async with self._slots:
            self.running += 1
            self.most = max(self.most, self.running)
            action = reapi.Action.FromString(self._blobs[request.action_digest.hash])
            root = reapi.Directory.FromString(self._blobs[action.input_root_digest.hash])
            question = files.read_question(self._blobs[root.files[0].digest.hash])
            if not question.effects:
                await asyncio.sleep(self._seconds)
            self.running -= 1
        self.ran += 1
        answer = Answer(effects="{}") if question.effects else Answer(result=_RESULT, folder="/x")
        content = files.write(answer)
        response = reapi.ExecuteResponse()
        response.result.output_files.add(
            path=files.ANSWER, digest=message_of(SHA256.of(content)), contents=content
        )
        operation.done = True
        operation.response.Pack(response)
        yield operation


_RESULT = dumps({"outcomes": [{"step": 0, "exit_code": 0, "seconds": 0.1}]}).decode()


async def main() -> None:
    cluster = Cluster(int(sys.argv[1]), float(sys.argv[2]))
    server = grpc.aio.server()
    for service in ("Capabilities", "ContentAddressableStorage", "Execution"):
        handlers = {
            name: (
                grpc.unary_stream_rpc_method_handler
                if method.server_streaming
                else grpc.unary_unary_rpc_method_handler
            )(
                getattr(cluster, name),
                request_deserializer=method.request_class.FromString,
                response_serializer=method.response_class.SerializeToString,
            )
            for name, method in methods(f"{_REAPI}.{service}").items()
            if hasattr(cluster, name)
        }
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(f"{_REAPI}.{service}", handlers),)
        )
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(cluster.ran, cluster.most, flush=True)
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(main())
