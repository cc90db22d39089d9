"""Bytes that no client should send: each is refused in the client's terms, or taken.

No INTERNAL, no UNKNOWN, no call that never ends, nothing left behind. RPW_FIXTURE_LONG=1 tries a
hundred thousand inputs in all.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpw_fixture import Server
from rpw_fixture.wire.compression import available, compressor_numbered
from rpw_fixture.wire.digests import SHA256, message_of
from rpw_fixture.wire.protos import bytestream
from rpw_fixture.wire.protos import remote_execution as reapi
from tests.waiting import until

from .fuzzing import METHODS, Target, changed, channels, effort, seeds_of

METADATA = "build.bazel.remote.execution.v2.requestmetadata-bin"
UPLOAD = "uploads/5f0c2a1e-1111-4222-8333-444455556666"
TEXT = b"a text that is repeated, a text that is repeated, a text that is repeated\n"
COMMAND = reapi.Command(
    arguments=["/bin/true", "--flag", "value"],
    environment_variables=[{"name": "LANG", "value": "C"}],
    output_paths=["out/file"],
    output_files=["out/legacy"],
    output_directories=["folder"],
    platform={"properties": [{"name": "container-image", "value": ""}]},
    working_directory="sub",
    output_node_properties=["unix_mode"],
)


@pytest.fixture
def channel(rpw_server: Server) -> Iterator[grpc.Channel]:
    yield from channels(rpw_server)


@pytest.fixture
def target(rpw_server: Server, channel: grpc.Channel) -> Iterator[Target]:
    target = Target(rpw_server, channel)
    yield target
    target.is_calm()


@pytest.mark.parametrize("name", METHODS)
def test_no_request_upsets_the_server(target: Target, name: str) -> None:
    seeds = seeds_of(target)[name]
    most = 4 if METHODS[name].client_streaming else 1

    @effort(short=40, long=3_700)
    @given(st.lists(changed(*seeds), min_size=1, max_size=most))
    def throw(requests: list[bytes]) -> None:
        target.throw(name, *requests)

    throw()


def test_no_request_metadata_upsets_the_server(target: Target) -> None:
    metadata = reapi.RequestMetadata(
        tool_details={"tool_name": "bazel", "tool_version": "4.2.3"},
        action_id="x",
        tool_invocation_id="y",
        target_id="//a:b",
    )
    request = bytestream.WriteRequest(
        resource_name=f"{UPLOAD}/blobs/{SHA256.of(b'x')}", data=b"x", finish_write=True
    ).SerializeToString()

    @effort(short=40, long=3_000)
    @given(changed(metadata.SerializeToString()))
    def throw(raw: bytes) -> None:
        target.throw("Write", request, metadata=((METADATA, raw),))

    throw()


@pytest.mark.parametrize("number", sorted(available()))
def test_no_compressed_bytes_upset_the_server(target: Target, number: int) -> None:
    compressor = compressor_numbered(number)
    name = {reapi.Compressor.ZSTD: "zstd", reapi.Compressor.DEFLATE: "deflate"}[number]
    seeds = [compressor.compress(TEXT), compressor.compress(TEXT * 2) * 2, compressor.compress(b"")]
    digest = SHA256.of(TEXT)

    @effort(short=60, long=4_000)
    @given(changed(*seeds))
    def throw(raw: bytes) -> None:
        entry = {"digest": message_of(digest), "data": raw, "compressor": number}
        update = reapi.BatchUpdateBlobsRequest(requests=[entry])
        target.throw("BatchUpdateBlobs", update.SerializeToString())
        write = bytestream.WriteRequest(
            resource_name=f"{UPLOAD}/compressed-blobs/{name}/{digest}", data=raw, finish_write=True
        )
        target.throw("Write", write.SerializeToString())

    throw()


def test_no_directory_upsets_the_server(target: Target) -> None:
    blob, empty = target.put(TEXT), target.put(b"")
    directory = reapi.Directory(
        files=[
            {"name": "a", "digest": blob, "is_executable": True},
            {
                "name": "b",
                "digest": blob,
                "node_properties": {
                    "properties": [{"name": "bazel_tool_input", "value": ""}],
                    "mtime": {"seconds": 1},
                    "unix_mode": {"value": 0o640},
                },
            },
        ],
        directories=[{"name": "sub", "digest": empty}],
        symlinks=[{"name": "z", "target": "a"}],
    )
    command = target.put(reapi.Command(arguments=["/bin/true"]).SerializeToString())

    @effort(short=60, long=5_000)
    @given(changed(directory.SerializeToString()))
    def throw(raw: bytes) -> None:
        root = target.put(raw)
        target.throw("GetTree", reapi.GetTreeRequest(root_digest=root).SerializeToString())
        action = reapi.Action(command_digest=command, input_root_digest=root)
        target.execute(target.put(action.SerializeToString()))

    throw()


def test_no_command_upsets_the_server(target: Target) -> None:
    empty = target.put(b"")
    sub = reapi.Directory(directories=[{"name": "sub", "digest": empty}])
    root = target.put(sub.SerializeToString())

    @effort(short=60, long=5_000)
    @given(changed(COMMAND.SerializeToString()))
    def throw(raw: bytes) -> None:
        action = reapi.Action(command_digest=target.put(raw), input_root_digest=root)
        target.execute(target.put(action.SerializeToString()))

    throw()


def test_no_action_upsets_the_server(target: Target) -> None:
    empty = target.put(b"")
    command = target.put(reapi.Command(arguments=["/bin/true"]).SerializeToString())
    action = reapi.Action(
        command_digest=command,
        input_root_digest=empty,
        timeout={"seconds": 5},
        salt=b"salt",
        platform={"properties": [{"name": "persistentWorkerKey", "value": "key"}]},
    )

    @effort(short=60, long=5_000)
    @given(changed(action.SerializeToString()))
    def throw(raw: bytes) -> None:
        target.execute(target.put(raw))

    throw()


def test_no_tree_in_a_result_upsets_the_server(target: Target) -> None:
    blob = target.put(TEXT)
    tree = reapi.Tree(
        root={"files": [{"name": "a", "digest": blob}]},
        children=[{"files": [{"name": "b", "digest": blob}]}],
    )
    action = message_of(SHA256.of(b"an action"))

    @effort(short=40, long=3_000)
    @given(changed(tree.SerializeToString()))
    def throw(raw: bytes) -> None:
        digest = target.put(raw)
        for field in ("tree_digest", "root_directory_digest"):
            result = reapi.ActionResult(output_directories=[{"path": "out", field: digest}])
            update = reapi.UpdateActionResultRequest(action_digest=action, action_result=result)
            target.throw("UpdateActionResult", update.SerializeToString())
            get = reapi.GetActionResultRequest(action_digest=action)
            target.throw("GetActionResult", get.SerializeToString())

    throw()


def test_no_flagfile_upsets_the_server_or_a_worker(rpw_server: Server, target: Target) -> None:
    import sys
    from pathlib import Path

    samples = Path(__file__).parents[2] / "sample_workers/python"
    tools = reapi.Directory()
    for each in ("good.py", "rpw_worker.py"):
        node = tools.files.add(name=each, digest=target.put((samples / each).read_bytes()))
        node.node_properties.properties.add(name="bazel_tool_input")
    tools_digest = target.put(tools.SerializeToString())
    command = reapi.Command(
        arguments=[sys.executable, "tools/good.py", "@flags"],
        output_paths=["out"],
        platform={"properties": [{"name": "persistentWorkerKey", "value": "key"}]},
    )
    command_digest = target.put(command.SerializeToString())
    source = target.put(TEXT)

    @effort(short=40, long=1_000)
    @given(changed(b"--in\nsource\n--out\nout\n", b"@flags\n", b"--flagfile=source\n"))
    def throw(raw: bytes) -> None:
        root = reapi.Directory(
            files=[
                {"name": "flags", "digest": target.put(raw)},
                {"name": "source", "digest": source},
            ],
            directories=[{"name": "tools", "digest": tools_digest}],
        )
        action = reapi.Action(
            command_digest=command_digest,
            input_root_digest=target.put(root.SerializeToString()),
            timeout={"seconds": 20},
        )
        target.execute(target.put(action.SerializeToString()))

    throw()
    assert len(rpw_server.workers) <= 3


def test_rubbish_leaves_no_descriptor_and_no_thread_behind(target: Target) -> None:
    process = psutil.Process()
    seeds = seeds_of(target)

    def throw_all(numbers: Any) -> None:
        for number in numbers:
            for name in ("Write", "Read", "BatchUpdateBlobs", "GetTree"):
                target.throw(name, seeds[name][0][: number % 50] + bytes([number % 256]))

    throw_all(range(100))
    # Threads that Python knows are ours; gRPC starts others, depending on the machine's load.
    descriptors, threads = process.num_fds(), threading.active_count()
    throw_all(range(100, 400))
    until(lambda: process.num_fds() <= descriptors + 3, "descriptors were left")
    until(lambda: threading.active_count() <= threads + 10, "threads were left")
