from __future__ import annotations

import ast
import importlib
import runpy
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from hypothesis import given
from hypothesis import strategies as st

from rpw_fixture.wire import protos
from rpw_fixture.wire.protos import (
    DESCRIPTOR_SET,
    NAMESPACES,
    bytestream,
    health,
    longrunning,
    method,
    methods,
    rpc,
    semver,
    wkt,
    worker,
)
from rpw_fixture.wire.protos import remote_execution as reapi

REGENERATE = DESCRIPTOR_SET.parents[3] / ".ci" / "regenerate_protos.py"
CAS = "build.bazel.remote.execution.v2.ContentAddressableStorage"

BUILDGRID = "buildgrid.common.protos"
BUILDGRID_MODULES = (
    "build.bazel.remote.execution.v2.remote_execution_pb2",
    "build.bazel.semver.semver_pb2",
    "google.bytestream.bytestream_pb2",
    "google.longrunning.operations_pb2",
    "google.rpc.code_pb2",
    "google.rpc.error_details_pb2",
    "google.rpc.status_pb2",
)

# What remote-apis has renamed since, with the same number and so the same bytes.
RENAMED = {"CacheCapabilities.digest_function": "digest_functions"}


def run_python(program: str, **environment: str) -> None:
    """Run a program that sees what this process sees, and demand that it stays silent."""
    path = f"import sys; sys.path[:] = {sys.path!r}\n"
    command = [sys.executable, "-IBc", path + program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def developer_script() -> dict[str, object]:
    pytest.importorskip("grpc_tools")
    if not REGENERATE.exists():
        pytest.skip("the developer script is part of a checkout only")
    return runpy.run_path(str(REGENERATE))


# ---------------------------------------------------------------- what is committed


def test_the_descriptor_set_is_what_the_proto_files_compile_to():
    compiled = developer_script()["compile_descriptor_set"](DESCRIPTOR_SET.parent)
    committed = FileDescriptorSet.FromString(DESCRIPTOR_SET.read_bytes())
    fresh = FileDescriptorSet.FromString(compiled)
    assert {file.name: file for file in committed.file} == {file.name: file for file in fresh.file}


def test_the_stubs_are_what_the_descriptor_set_renders_to():
    script = developer_script()
    if not hasattr(FieldDescriptor, "is_repeated"):
        pytest.skip("rendering stubs needs a newer protobuf")
    for name, text in script["render_stubs"](DESCRIPTOR_SET.read_bytes()).items():
        assert DESCRIPTOR_SET.with_name(name).read_text("utf-8") == text


def test_check_mode_names_a_stale_file_and_leaves_it_alone(tmp_path, monkeypatch, capsys):
    script = developer_script()
    if not hasattr(FieldDescriptor, "is_repeated"):
        pytest.skip("rendering stubs needs a newer protobuf")
    main = script["main"]
    assert main(["--check"]) == 0
    stale = dict(script["render_stubs"](DESCRIPTOR_SET.read_bytes()), **{"worker.pyi": "new"})
    monkeypatch.setitem(main.__globals__, "render_stubs", lambda _: stale)
    before = DESCRIPTOR_SET.with_name("worker.pyi").read_bytes()
    assert main(["--check"]) == 1
    assert capsys.readouterr().out == f"stale: {DESCRIPTOR_SET.with_name('worker.pyi')}\n"
    assert DESCRIPTOR_SET.with_name("worker.pyi").read_bytes() == before


@pytest.mark.parametrize("name", NAMESPACES)
def test_a_namespace_holds_exactly_the_names_of_its_stub(name):
    tree = ast.parse(DESCRIPTOR_SET.with_name(f"{name}.pyi").read_text("utf-8"))
    typed = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    typed |= {node.target.id for node in tree.body if isinstance(node, ast.AnnAssign)}
    namespace = getattr(protos, name)
    assert {found for found in typed if not found.startswith("_")} == set(dir(namespace))
    assert all(getattr(namespace, found) is not None for found in dir(namespace))


def test_a_namespace_has_no_other_names():
    with pytest.raises(AttributeError, match=r"wire\.protos\.worker' has no attribute 'Nonsense'"):
        _ = protos.worker.Nonsense


# ---------------------------------------------------------------- the protocols themselves


def shape(file: FileDescriptorProto) -> dict[str, object]:
    """Flatten a file into what decides the bytes and the calls: fields, values and methods."""
    found: dict[str, object] = {}

    def add_enum(enum, prefix):
        found.update({f"{prefix}{enum.name}.{value.name}": value.number for value in enum.value})

    def add_message(message, prefix):
        scope = f"{prefix}{message.name}."
        for field in message.field:
            group = (
                message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
            )
            kind = (field.type, field.label, field.type_name, group)
            found[f"{scope}{field.number}"] = (RENAMED.get(scope + field.name, field.name), *kind)
        for enum in message.enum_type:
            add_enum(enum, scope)
        for nested in message.nested_type:
            add_message(nested, scope)

    for enum in file.enum_type:
        add_enum(enum, "")
    for message in file.message_type:
        add_message(message, "")
    for service in file.service:
        for rpc_ in service.method:
            streams = (rpc_.client_streaming, rpc_.server_streaming)
            found[f"{service.name}.{rpc_.name}()"] = (rpc_.input_type, rpc_.output_type, *streams)
    return found


@pytest.mark.parametrize("module", BUILDGRID_MODULES)
def test_every_field_enum_value_and_method_that_buildgrid_knows_is_the_same_here(module):
    pytest.importorskip(BUILDGRID)
    theirs, ours = FileDescriptorProto(), FileDescriptorProto()
    importlib.import_module(f"{BUILDGRID}.{module}").DESCRIPTOR.CopyToProto(theirs)
    protos.pool().FindFileByName(theirs.name).CopyToProto(ours)
    here = shape(ours)
    known = shape(theirs)
    assert known
    assert {name: here.get(name) for name in known} == known


def test_the_newest_remote_execution_fields_have_their_numbers():
    numbers = {
        (message.DESCRIPTOR.name, name): message.DESCRIPTOR.fields_by_name[name].number
        for message, name in (
            (reapi.Command, "output_directory_format"),
            (reapi.OutputDirectory, "is_topologically_sorted"),
            (reapi.OutputDirectory, "root_directory_digest"),
            (reapi.ExecuteRequest, "inline_output_files"),
            (reapi.ExecuteOperationMetadata, "partial_execution_metadata"),
            (reapi.ExecuteOperationMetadata, "digest_function"),
            (reapi.SplitBlobRequest, "chunking_function"),
            (reapi.SpliceBlobRequest, "chunking_function"),
            (reapi.CacheCapabilities, "max_cas_blob_size_bytes"),
            (reapi.CacheCapabilities, "split_blob_support"),
            (reapi.CacheCapabilities, "splice_blob_support"),
            (reapi.CacheCapabilities, "fast_cdc_2020_params"),
            (reapi.CacheCapabilities, "rep_max_cdc_params"),
        )
    }
    assert list(numbers.values()) == [9, 4, 5, 12, 5, 6, 4, 5, 8, 9, 10, 11, 12]
    assert reapi.DigestFunction.Value.items()[-3:] == [
        ("SHA256TREE", 8),
        ("BLAKE3", 9),
        ("GITSHA1", 10),
    ]
    assert reapi.Compressor.Value.keys() == ["IDENTITY", "ZSTD", "DEFLATE", "BROTLI"]


def test_worker_messages_have_the_bytes_that_workers_expect():
    request = worker.WorkRequest(
        arguments=["-a"],
        inputs=[worker.Input(path="p", digest=b"d")],
        request_id=3,
        cancel=True,
        verbosity=5,
        sandbox_dir="s",
    )
    wire = b"\x0a\x02-a" + b"\x12\x06\x0a\x01p\x12\x01d" + b"\x18\x03\x20\x01\x28\x05\x32\x01s"
    assert request.SerializeToString() == wire
    response = worker.WorkResponse(exit_code=1, output="o", request_id=3, was_cancelled=True)
    assert response.SerializeToString() == b"\x08\x01\x12\x01o\x18\x03\x20\x01"


@given(
    names=st.lists(st.text(st.characters(codec="utf-8"))),
    size=st.integers(min_value=-(2**63), max_value=2**63 - 1),
    content=st.binary(),
)
def test_messages_come_back_from_their_bytes_unchanged(names, size, content):
    digest = reapi.Digest(hash="ab", size_bytes=size)
    directory = reapi.Directory(files=[reapi.FileNode(name=name, digest=digest) for name in names])
    result = reapi.ActionResult(stdout_raw=content, stdout_digest=digest)
    for message in (directory, result):
        assert type(message).FromString(message.SerializeToString()) == message


# ---------------------------------------------------------------- names


def test_nested_messages_and_enum_values_are_reached_as_in_generated_modules():
    assert reapi.Command.EnvironmentVariable(name="PATH").name == "PATH"
    assert reapi.BatchUpdateBlobsRequest.Request(data=b"x").data == b"x"
    assert reapi.DigestFunction.SHA256 == reapi.DigestFunction.Value.SHA256 == 1
    assert reapi.ExecutionStage.Value.Name(reapi.ExecutionStage.COMPLETED) == "COMPLETED"
    assert health.HealthCheckResponse.ServingStatus.Value("SERVING") == 1
    assert (rpc.Code.Name(rpc.NOT_FOUND), rpc.UNAUTHENTICATED) == ("NOT_FOUND", 16)


def test_a_message_of_one_namespace_is_the_field_type_in_another():
    operation = longrunning.Operation(error=rpc.Status(code=rpc.ABORTED))
    assert operation.WhichOneof("result") == "error"
    capabilities = reapi.ServerCapabilities(high_api_version=semver.SemVer(major=2, minor=12))
    assert capabilities.high_api_version.minor == 12
    assert isinstance(reapi.ExecuteResponse().status, rpc.Status)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="remote_exclusion"):
        _ = protos.remote_exclusion
    with pytest.raises(ImportError, match="remote_exclusion"):
        exec("from rpw_fixture.wire.protos import remote_exclusion")
    assert set(protos.__all__) <= set(dir(protos))


def test_method_tells_the_path_the_classes_and_the_streaming_sides():
    write = method("google.bytestream.ByteStream", "Write")
    assert write.path == "/google.bytestream.ByteStream/Write"
    assert (write.request_class, write.response_class) == (
        bytestream.WriteRequest,
        bytestream.WriteResponse,
    )
    assert (write.client_streaming, write.server_streaming) == (True, False)
    execute = method("build.bazel.remote.execution.v2.Execution", "Execute")
    assert execute.response_class is longrunning.Operation
    assert (execute.client_streaming, execute.server_streaming) == (False, True)
    delete = method("google.longrunning.Operations", "DeleteOperation")
    assert delete.response_class is wkt.Empty


def test_methods_lists_a_whole_service_in_the_order_of_its_file():
    names = ["FindMissingBlobs", "BatchUpdateBlobs", "BatchReadBlobs"]
    assert list(methods(CAS)) == [*names, "GetTree", "SplitBlob", "SpliceBlob"]
    assert methods(CAS)["GetTree"] == method(CAS, "GetTree")


def test_what_no_protocol_has_is_a_lookup_error_that_names_it():
    with pytest.raises(LookupError, match="has no method 'Reed'"):
        method("google.bytestream.ByteStream", "Reed")
    with pytest.raises(LookupError, match=r"'google\.bytestream\.ReadRequest'"):
        methods("google.bytestream.ReadRequest")
    with pytest.raises(LookupError, match=r"'reapi\.Action'"):
        protos.message_class("reapi.Action")


def test_a_message_class_is_found_by_its_full_name():
    assert protos.message_class("blaze.worker.Input") is worker.Input
    nested = protos.message_class("build.bazel.remote.execution.v2.Platform.Property")
    assert nested is reapi.Platform.Property


# ---------------------------------------------------------------- well-known types


def test_timestamps_and_durations_keep_their_helpers():
    moment = wkt.Timestamp()
    moment.FromNanoseconds(1_500_000_001)
    assert (moment.seconds, moment.nanos) == (1, 500_000_001)
    moment.FromDatetime(datetime(2026, 4, 1, tzinfo=UTC))
    assert moment.ToDatetime(UTC) == datetime(2026, 4, 1, tzinfo=UTC)
    action = reapi.Action()
    action.timeout.FromNanoseconds(2_000_000_003)
    assert action.timeout.ToNanoseconds() == 2_000_000_003
    action.timeout.FromTimedelta(timedelta(minutes=1))
    assert action.timeout.seconds == 60


def test_any_packs_and_unpacks_messages_of_every_namespace():
    operation = longrunning.Operation()
    operation.metadata.Pack(reapi.ExecuteOperationMetadata(stage=reapi.ExecutionStage.QUEUED))
    assert operation.metadata.Is(reapi.ExecuteOperationMetadata.DESCRIPTOR)
    metadata = reapi.ExecuteOperationMetadata()
    assert operation.metadata.Unpack(metadata)
    assert metadata.stage == reapi.ExecutionStage.QUEUED
    assert not operation.metadata.Unpack(rpc.RetryInfo())


def test_json_of_a_packed_message_needs_nothing_but_the_private_pool():
    packed = wkt.Any()
    packed.Pack(worker.WorkResponse(request_id=7, was_cancelled=True))
    text = json_format.MessageToJson(packed, descriptor_pool=protos.pool())
    assert json_format.Parse(text, wkt.Any(), descriptor_pool=protos.pool()) == packed
    assert '"wasCancelled": true' in text


# ---------------------------------------------------------------- processes


def test_importing_the_package_does_not_import_protobuf():
    run_python(
        "import rpw_fixture.wire.protos\n"
        "assert not [name for name in sys.modules if name.startswith('google')]\n"
    )


def test_the_default_pool_never_hears_of_our_types():
    run_python(
        "from google.protobuf import descriptor_pool\n"
        "from rpw_fixture.wire.protos import NAMESPACES, wkt, remote_execution\n"
        "wkt.Any().Pack(remote_execution.Action())\n"
        "default = descriptor_pool.Default()\n"
        "for file in sum(NAMESPACES.values(), ()):\n"
        "    try:\n"
        "        default.FindFileByName(file)\n"
        "    except KeyError:\n"
        "        continue\n"
        "    raise SystemExit(f'{file} leaked into the default pool')\n"
    )


@pytest.mark.parametrize("implementation", ["upb", "python"])
def test_threads_that_race_for_the_first_use_get_the_same_classes(implementation):
    run_python(
        "import threading\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "import rpw_fixture.wire.protos as protos\n"
        "start = threading.Barrier(8)\n"
        "def first_use(number):\n"
        "    start.wait()\n"
        "    if number % 2:\n"
        "        return protos.remote_execution.Action, protos.worker.Input\n"
        "    from rpw_fixture.wire.protos import remote_execution, worker\n"
        "    return remote_execution.Action, worker.Input\n"
        "with ThreadPoolExecutor(8) as threads:\n"
        "    assert len(set(threads.map(first_use, range(8)))) == 1\n",
        PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=implementation,
    )


def test_the_pure_python_implementation_of_protobuf_is_enough():
    run_python(
        "from google.protobuf.internal import api_implementation\n"
        "assert api_implementation.Type() == 'python'\n"
        "from rpw_fixture.wire.protos import method, remote_execution as re, rpc, wkt\n"
        "assert re.Command.EnvironmentVariable(name='a').name == 'a'\n"
        "assert re.DigestFunction.Value.Name(re.DigestFunction.BLAKE3) == 'BLAKE3'\n"
        "action = re.Action(timeout=wkt.Duration(seconds=1))\n"
        "action.timeout.FromNanoseconds(5)\n"
        "packed, unpacked = wkt.Any(), re.Action()\n"
        "packed.Pack(action)\n"
        "assert packed.Unpack(unpacked) and unpacked == action\n"
        "assert packed == wkt.Any.FromString(packed.SerializeToString()) != wkt.Any()\n"
        "assert packed != action\n"
        "response = re.ExecuteResponse(server_logs={'a': re.LogFile(human_readable=True)})\n"
        "response.status.CopyFrom(rpc.Status(code=rpc.OK, details=[packed]))\n"
        "assert re.ExecuteResponse.FromString(response.SerializeToString()) == response\n"
        "assert method('grpc.health.v1.Health', 'Watch').server_streaming\n",
        PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python",
    )
