"""One process in which our copies of the protocols meet a user's generated ones.

Usage: coexist_child.py OURS_FIRST|THEIRS_FIRST PROTOBUF_VERSION FOLDER…
The folders go onto sys.path; protobuf, buildgrid-common and worker_protocol_pb2 must be in them.
An exit code other than 0 is a failure; the traceback says why.
"""

from __future__ import annotations

import importlib
import sys
import warnings

OURS = "rpw_fixture.wire.protos"
THEIRS = {
    "remote_execution": (
        "buildgrid.common.protos.build.bazel.remote.execution.v2.remote_execution_pb2"
    ),
    "worker": "worker_protocol_pb2",
}


def import_ours():
    return importlib.import_module(OURS).remote_execution, importlib.import_module(OURS).worker


def import_theirs():
    # Their code is old or new as it may be: a warning about it is no finding about ours.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [importlib.import_module(name) for name in THEIRS.values()]


def check_both_copies_read_each_other(ours, theirs) -> None:
    assert type(ours) is not type(theirs)
    data = ours.SerializeToString(deterministic=True)
    assert type(theirs).FromString(data).SerializeToString(deterministic=True) == data
    theirs.ParseFromString(data)
    # Bytes, not ==: comparing an Any makes pure Python protobuf 4 warn about itself.
    read_back = type(ours).FromString(theirs.SerializeToString())
    assert read_back.SerializeToString(deterministic=True) == data


def check_remote_execution(ours, theirs) -> None:
    wkt = importlib.import_module(OURS).wkt
    action = ours.Action(
        command_digest=ours.Digest(hash="ab" * 32, size_bytes=1 << 40),
        timeout=wkt.Duration(seconds=5, nanos=7),
        platform=ours.Platform(
            properties=[ours.Platform.Property(name="persistentWorkerKey", value="k")]
        ),
    )
    check_both_copies_read_each_other(action, theirs.Action())
    marked = ours.NodeProperties(
        properties=[ours.NodeProperty(name="bazel_tool_input")],
        unix_mode=wkt.UInt32Value(value=0o755),
    )
    directory = ours.Directory(files=[ours.FileNode(name="tool", node_properties=marked)])
    check_both_copies_read_each_other(directory, theirs.Directory())
    response = ours.ExecuteResponse(server_logs={"log": ours.LogFile(human_readable=True)})
    response.status.details.add().Pack(action)
    check_both_copies_read_each_other(response, theirs.ExecuteResponse())
    unpacked = theirs.Action()
    assert response.status.details[0].Unpack(unpacked)
    assert unpacked.platform.properties[0].value == "k"


def check_worker(ours, theirs) -> None:
    request = ours.WorkRequest(
        arguments=["--in", "é"],
        inputs=[ours.Input(path="a", digest=b"\x00\xff")],
        request_id=-1,
        sandbox_dir="s",
    )
    check_both_copies_read_each_other(request, theirs.WorkRequest())
    check_both_copies_read_each_other(
        ours.WorkResponse(exit_code=1, output="o", was_cancelled=True), theirs.WorkResponse()
    )


def check_default_pool_is_theirs(remote_execution, worker) -> None:
    default = importlib.import_module("google.protobuf.descriptor_pool").Default()
    for cls in (remote_execution.Action, worker.WorkRequest):
        assert default.FindMessageTypeByName(cls.DESCRIPTOR.full_name) is cls.DESCRIPTOR


def main(order: str, version: str, *folders: str) -> None:
    sys.path[:0] = folders
    warnings.simplefilter("error")
    # Python 3.12 warns about types of protobuf 4, regardless of the module that imports them.
    warnings.filterwarnings("ignore", "Type google.*metaclass", DeprecationWarning)
    if order == "OURS_FIRST":
        ours, theirs = import_ours(), import_theirs()
    else:
        theirs = import_theirs()
        ours = import_ours()
    assert importlib.import_module("google.protobuf").__version__ == version
    check_remote_execution(ours[0], theirs[0])
    check_worker(ours[1], theirs[1])
    check_default_pool_is_theirs(*theirs)


if __name__ == "__main__":
    main(*sys.argv[1:])
