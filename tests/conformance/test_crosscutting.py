"""What holds for all services: points 183 to 187."""

from __future__ import annotations

import hashlib
import importlib

import grpc
import pytest

from rpw_fixture.events.kinds import ActionCompleted, ActionRouted, InternalError
from rpw_fixture.execution.resolve import Resolver
from rpw_fixture.wire.protos import health

from .client import bs, re, refused, sha256
from .executing import SH, executing, own

METADATA_KEY = "build.bazel.remote.execution.v2.requestmetadata-bin"


@pytest.mark.point(183)
def test_what_a_client_says_of_itself_is_recorded(executor):
    metadata = re.RequestMetadata(tool_invocation_id="an invocation")
    # The stubs' copy of the message is older than these fields.
    extra = b"\x2a\x05Javac\x32\x05//a:b"
    digest = executor.shell("echo x")
    list(
        executor.execution.Execute(
            re.ExecuteRequest(action_digest=digest),
            metadata=[(METADATA_KEY, metadata.SerializeToString() + extra)],
        )
    )
    (routed,) = executor.server.events.of(ActionRouted)
    assert routed.invocation == "an invocation"
    assert routed.mnemonic == "Javac"
    assert routed.target == "//a:b"


@pytest.mark.point(183)
@pytest.mark.parametrize("junk", [b"", b"\xff\xff\xff", bytes(1000)])
def test_unreadable_metadata_fail_no_call(executor, junk):
    digest = executor.shell("echo x")
    request = re.ExecuteRequest(action_digest=digest)
    (*_, last) = executor.execution.Execute(request, metadata=[(METADATA_KEY, junk)])
    assert last.done


def broken(*_):
    raise KeyError("a bug")


def meet_two_bugs(patch):
    """One in a call, one in an execution; the client goes on to be served."""
    with executing() as executor:
        digest = executor.shell("echo x")
        with patch.context() as patched:
            patched.setattr(Resolver, "decode_action", broken)
            with refused(grpc.StatusCode.INTERNAL, "a bug"):
                list(executor.execute(digest))
        with patch.context() as patched:
            patched.setattr(Resolver, "resolve", broken)
            response = executor.run(digest)
            assert response.status.code == grpc.StatusCode.INTERNAL.value[0]
        assert len(executor.server.events.of(InternalError)) == 2
        assert executor.stdout(executor.run(digest)) == b"x\n"


@pytest.mark.point(184)
def test_a_bug_is_internal_and_recorded_and_never_unknown(monkeypatch):
    with pytest.raises(AssertionError, match="KeyError"):
        meet_two_bugs(monkeypatch)


@pytest.mark.point(184)
@pytest.mark.point(186)
def test_refusals_have_codes_that_no_client_retries_and_name_the_thing(executor):
    absent = sha256(b"absent")
    bad = re.Digest(hash="XYZ", size_bytes=1)
    name = f"blobs/{absent.hash}/{absent.size_bytes}"
    calls = {
        grpc.StatusCode.INVALID_ARGUMENT: lambda: list(executor.execute(bad)),
        grpc.StatusCode.FAILED_PRECONDITION: lambda: list(executor.execute(absent)),
        grpc.StatusCode.NOT_FOUND: lambda: list(
            executor.client.bytestream.Read(bs.ReadRequest(resource_name=name))
        ),
    }
    for code, call in calls.items():
        with pytest.raises(grpc.RpcError) as caught:
            call()
        assert caught.value.code() is code
        thing = "XYZ" if code is grpc.StatusCode.INVALID_ARGUMENT else absent.hash
        assert thing in caught.value.details()


@pytest.mark.point(185)
def test_health_knows_every_service(executor):
    check = executor.client.own("grpc.health.v1.Health").Check
    for service in (
        "",
        "build.bazel.remote.execution.v2.Execution",
        "build.bazel.remote.execution.v2.Capabilities",
        "google.longrunning.Operations",
        "google.bytestream.ByteStream",
    ):
        answer = check(health.HealthCheckRequest(service=service))
        assert answer.status == health.HealthCheckResponse.SERVING, service


@pytest.mark.point(187)
def test_every_action_and_every_decision_is_recorded(executor):
    digest = executor.shell("echo x > f", files=["f"])
    executor.run(digest)
    executor.run(digest)
    name = f"{digest.hash}/{digest.size_bytes}"
    routed = executor.server.events.of(ActionRouted)
    completed = executor.server.events.of(ActionCompleted)
    assert [(event.action, event.mode) for event in routed] == [
        (name, "one-shot"),
        (name, "cache"),
    ]
    assert "persistentWorkerKey" in routed[0].reason
    assert [(event.action, event.cached) for event in completed] == [(name, False), (name, True)]
    file = sha256(b"x\n")
    for event in completed:
        assert list(event.outputs) == [("f", f"{file.hash}/{file.size_bytes}")]


@pytest.mark.point(29)
@pytest.mark.point(102)
def test_results_of_one_instance_are_not_those_of_another(executor):
    digest = executor.shell("echo x")
    assert not executor.run(digest, instance_name="one/a").cached_result
    assert not executor.run(digest, instance_name="two").cached_result
    assert executor.run(digest, instance_name="one/a").cached_result


@pytest.mark.point(24)
@pytest.mark.point(113)
@pytest.mark.parametrize("function", ["SHA1", "SHA384", "SHA512", "BLAKE3"])
def test_an_action_in_another_digest_function_runs_and_its_results_use_that(
    function, make_executor
):
    if function == "BLAKE3":
        pytest.importorskip("blake3")
    executor = make_executor(digest_functions=("SHA256", function))
    number = getattr(own.DigestFunction, function)

    def digest_of(data):
        if function == "BLAKE3":
            blake3 = importlib.import_module("blake3")
            return own.Digest(hash=blake3.blake3(data).hexdigest(), size_bytes=len(data))
        return own.Digest(hash=hashlib.new(function, data).hexdigest(), size_bytes=len(data))

    def put(data):
        request = own.BatchUpdateBlobsRequest(digest_function=number)
        request.requests.add(digest=digest_of(data), data=data)
        cas = executor.client.own("ContentAddressableStorage")
        assert cas.BatchUpdateBlobs(request).responses[0].status.code == 0
        return digest_of(data)

    command = own.Command(arguments=[SH, "-c", "echo out; cat in > f"], output_paths=["f"])
    root = own.Directory(files=[own.FileNode(name="in", digest=put(b"content"))])
    action = own.Action(
        command_digest=put(command.SerializeToString()),
        input_root_digest=put(root.SerializeToString()),
    )
    digest = put(action.SerializeToString())
    request = own.ExecuteRequest(action_digest=digest, digest_function=number)
    (*_, last) = executor.client.own("Execution").Execute(request)
    response = own.ExecuteResponse()
    assert last.response.Unpack(response)
    assert response.result.stdout_digest == digest_of(b"out\n")
    assert response.result.output_files[0].digest == digest_of(b"content")

    action.input_root_digest.CopyFrom(digest_of(b"absent"))
    request.action_digest.CopyFrom(put(action.SerializeToString()))
    (*_, last) = executor.client.own("Execution").Execute(request)
    assert last.response.Unpack(response)
    segment = "blake3/" if function == "BLAKE3" else ""
    assert f"blobs/{segment}{digest_of(b'absent').hash}/6" in response.status.message
