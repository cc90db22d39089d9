"""Bazel's own options for remote execution, with armed faults: retries, lost blobs, TLS, headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import trustme

from rpw_fixture import Server

from .bazel import BazelWorkspace, BuildResult
from .observations import assert_no_internal_error, requests_by_action
from .requirements import require_tls_library
from .workspace_files import PLAIN

MakeServer = Callable[..., Server]
TOOLS = ("tools/**",)
PLAIN_TARGETS = [f"//python:plain{number}" for number in range(PLAIN)]
ONE = "//python:plain0"
ONE_OUTPUT = "python/plain0.txt"


@pytest.fixture
def server(make_rpw_server: MakeServer) -> Server:
    return make_rpw_server(tool_inputs=TOOLS, count_digests=True)


@pytest.fixture
def build(workspace: BazelWorkspace, server: Server) -> Callable[..., BuildResult]:
    """Builds targets on the server, with further flags."""

    def run(*arguments: str) -> BuildResult:
        targets = [each for each in arguments if each.startswith("//")]
        flags = [each for each in arguments if each.startswith("--")]
        result = workspace.build(*targets, flags=(*server.bazel_flags(), *flags))
        assert_no_internal_error(server.events)
        return result

    return run


Build = Callable[..., BuildResult]


def test_a_minimal_download_builds_everything_and_fetches_nothing(
    build: Build, server: Server
) -> None:
    result = build("--remote_download_minimal", *PLAIN_TARGETS)
    assert result.exit_code == 0, result.stderr
    assert result.outputs == {}
    assert requests_by_action(server.events).total() == PLAIN
    assert server.counters.calls["Read"] == 0
    assert sum(count.reads for count in server.counters.digests.values()) == 0


def test_after_a_minimal_download_a_dependent_action_needs_no_bytes_either(
    build: Build, server: Server
) -> None:
    first = build("--remote_download_minimal", "//java:greeting")
    second = build("--remote_download_minimal", "//java:part0")
    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr + second.stderr
    assert second.outputs == {}
    assert server.counters.calls["Execute"] == 2
    assert server.counters.calls["Read"] == 0


def test_a_toplevel_download_fetches_what_was_asked_for_alone(
    build: Build, server: Server, local_outputs: Mapping[str, bytes]
) -> None:
    result = build("--remote_download_toplevel", "//java:part0", "//java:part1")
    assert result.exit_code == 0, result.stderr
    names = ("java/part0.jar", "java/part1.jar")
    assert result.outputs == {name: local_outputs[name] for name in names}
    assert server.counters.calls["Execute"] == len(names) + 1
    assert server.counters.calls["Read"] == len(names)


@pytest.mark.parametrize(
    "spec",
    [
        "Execute:UNAVAILABLE:first=2",
        "WaitExecution:UNAVAILABLE:first=2",
        "WaitExecution:half-close:first=2",
        "FindMissingBlobs:UNAVAILABLE:first=2",
        "GetActionResult:UNAVAILABLE:first=2",
        "GetCapabilities:UNAVAILABLE:first=2",
        "ByteStream.Write:UNAVAILABLE:first=2",
        "ByteStream.Write:UNAVAILABLE:first=2:after=1",
        "ByteStream.Read:UNAVAILABLE:first=2",
        "ByteStream.Read:UNAVAILABLE:first=2:after=1",
    ],
)
def test_two_faults_are_fewer_than_three_retries(
    build: Build, server: Server, local_outputs: Mapping[str, bytes], spec: str
) -> None:
    if spec.startswith("WaitExecution"):  # which Bazel calls once a stream is broken
        server.faults.arm("Execute:UNAVAILABLE:after=1")
    armed = server.faults.arm(spec)
    result = build("--remote_retries=3", ONE)
    assert result.exit_code == 0, result.stderr
    assert armed.hits == 2
    assert result.outputs[ONE_OUTPUT] == local_outputs[ONE_OUTPUT]
    assert requests_by_action(server.events).total() == 1, "the action ran more than once"


@pytest.mark.parametrize("spec", ["Execute:UNAVAILABLE:after=1", "Execute:half-close"])
def test_a_stream_that_always_breaks_is_followed_in_another_way(
    build: Build, server: Server, local_outputs: Mapping[str, bytes], spec: str
) -> None:
    armed = server.faults.arm(spec)
    result = build(ONE)
    assert result.exit_code == 0, result.stderr
    assert armed.hits == 1
    assert server.counters.calls["WaitExecution"] == 1
    assert result.outputs[ONE_OUTPUT] == local_outputs[ONE_OUTPUT]


def test_retries_that_are_used_up_fail_the_build_and_name_the_fault(
    build: Build, server: Server
) -> None:
    armed = server.faults.fail("Execute", message="the backend is on holiday")
    result = build("--remote_retries=1", ONE)
    assert result.exit_code != 0
    assert armed.hits >= 2
    assert "the backend is on holiday" in result.stderr
    assert requests_by_action(server.events).total() == 0


def test_a_fault_of_some_calls_is_overcome_by_a_whole_build(
    build: Build, server: Server, local_outputs: Mapping[str, bytes]
) -> None:
    server.faults.arm("Execute:UNAVAILABLE:every=3")
    server.faults.arm("ByteStream.Write:UNAVAILABLE:every=4")
    server.faults.arm("ByteStream.Read:UNAVAILABLE:every=5:after=1")
    result = build("--remote_retries=5", *PLAIN_TARGETS)
    assert result.exit_code == 0, result.stderr
    assert all(local_outputs[path] == content for path, content in result.outputs.items())
    assert requests_by_action(server.events).total() == PLAIN


def test_blobs_evicted_between_look_up_and_execution_are_uploaded_again(
    build: Build, server: Server, local_outputs: Mapping[str, bytes]
) -> None:
    server.faults.arm("Execute:evict-all:first=1")
    first = build(ONE)
    assert first.exit_code == 0, first.stderr
    server.faults.arm("FindMissingBlobs:evict-all:first=1")
    second = build("//python:plain1")
    assert second.exit_code == 0, second.stderr
    assert second.outputs["python/plain1.txt"] == local_outputs["python/plain1.txt"]
    assert max(count.writes for count in server.counters.digests.values()) > 1


def test_blobs_evicted_between_builds_are_uploaded_again(
    build: Build, workspace: BazelWorkspace, server: Server, local_outputs: Mapping[str, bytes]
) -> None:
    first = build(ONE)
    assert server.faults.evict() > 0
    workspace.clean()
    second = build("--noremote_accept_cached", ONE)
    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr + second.stderr
    assert second.outputs[ONE_OUTPUT] == local_outputs[ONE_OUTPUT]
    assert server.counters.duplicate_uploads == 0


def test_a_cached_result_whose_blobs_are_gone_is_built_anew(
    build: Build, workspace: BazelWorkspace, server: Server, local_outputs: Mapping[str, bytes]
) -> None:
    build(ONE)
    workspace.clean()
    armed = server.faults.evict_after("GetActionResult", first=1)
    result = build(ONE)
    assert result.exit_code == 0, result.stderr
    assert armed.hits == 1
    assert result.outputs[ONE_OUTPUT] == local_outputs[ONE_OUTPUT]
    assert requests_by_action(server.events).total() == 2


def test_an_intermediate_blob_lost_after_a_minimal_download_is_noticed(
    build: Build, server: Server
) -> None:
    first = build("--remote_download_minimal", "//java:greeting")
    assert first.exit_code == 0, first.stderr
    server.faults.evict()
    result = build("--remote_download_minimal", "//java:part0")
    # This Bazel can't go back to the action whose output is lost, but it must not go on without.
    assert result.exit_code != 0
    assert "greeting.jar" in result.stderr


def test_a_worker_killed_between_requests_does_not_fail_a_build(
    build: Build, server: Server, local_outputs: Mapping[str, bytes]
) -> None:
    server.faults.kill_worker(in_request=False, every=3)
    result = build(*PLAIN_TARGETS)
    assert result.exit_code == 0, result.stderr
    assert all(local_outputs[path] == content for path, content in result.outputs.items())


def test_a_worker_killed_in_a_request_fails_its_action_without_a_retry(
    build: Build, server: Server
) -> None:
    server.faults.kill_worker(first=1)
    result = build(ONE)
    assert result.exit_code != 0
    assert result.executes == 1
    assert "killed by an injected fault" in result.stderr


@pytest.mark.parametrize("name", ["main", "teams/compilers/ci", "a/b/c/d/e/f"])
def test_an_instance_name_may_have_slashes(
    build: Build, server: Server, local_outputs: Mapping[str, bytes], name: str
) -> None:
    first = build(f"--remote_instance_name={name}", ONE)
    assert first.exit_code == 0, first.stderr
    assert first.outputs[ONE_OUTPUT] == local_outputs[ONE_OUTPUT]


def test_results_of_one_instance_are_not_those_of_another(
    build: Build, workspace: BazelWorkspace, server: Server
) -> None:
    for name in ("teams/one", "teams/two", "teams/one"):
        workspace.clean()
        result = build(f"--remote_instance_name={name}", ONE)
        assert result.exit_code == 0, result.stderr
    assert requests_by_action(server.events).total() == 2
    assert result.processes["remote cache hit"] == 1


def test_a_token_lets_bazel_in(
    workspace: BazelWorkspace,
    make_rpw_server: MakeServer,
    local_outputs: Mapping[str, bytes],
    tmp_path: Path,
) -> None:
    token = tmp_path / "token"
    token.write_text("open sesame")
    server = make_rpw_server(tool_inputs=TOOLS, auth_token_file=str(token))
    result = workspace.build(ONE, flags=(*server.bazel_flags(), "--remote_header=x-team=tools"))
    assert result.exit_code == 0, result.stderr
    assert result.outputs[ONE_OUTPUT] == local_outputs[ONE_OUTPUT]

    workspace.clean()
    flags = [each for each in server.bazel_flags() if not each.startswith("--remote_header")]
    refused = workspace.build(ONE, flags=(*flags, "--remote_retries=0"))
    assert refused.exit_code != 0
    assert "UNAUTHENTICATED" in refused.stderr


def test_mutual_tls_and_a_token_let_bazel_in(
    workspace: BazelWorkspace,
    make_rpw_server: MakeServer,
    local_outputs: Mapping[str, bytes],
    tmp_path: Path,
) -> None:
    require_tls_library()
    authority = trustme.CA()
    server_pem, client_pem, token = (tmp_path / each for each in ("server", "client", "token"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(server_pem)
    authority.issue_cert("bazel@example.org").private_key_and_cert_chain_pem.write_to_path(
        client_pem
    )
    authority.cert_pem.write_to_path(tmp_path / "ca")
    token.write_text("open sesame")
    server = make_rpw_server(
        tool_inputs=TOOLS,
        tls_cert=str(server_pem),
        tls_key=str(server_pem),
        tls_client_ca=str(tmp_path / "ca"),
        auth_token_file=str(token),
    )
    certificates = (
        f"--tls_certificate={tmp_path / 'ca'}",
        f"--tls_client_certificate={client_pem}",
        f"--tls_client_key={_pkcs8(client_pem)}",
    )
    result = workspace.build(ONE, flags=(*server.bazel_flags(), *certificates))
    assert result.exit_code == 0, result.stderr
    assert result.outputs[ONE_OUTPUT] == local_outputs[ONE_OUTPUT]

    workspace.clean()
    calls = server.counters.calls
    refused = workspace.build(
        ONE, flags=(*server.bazel_flags(), certificates[0], "--remote_retries=0")
    )
    assert refused.exit_code != 0
    assert server.counters.calls == calls


def test_the_flags_of_a_server_with_tls_are_enough_for_bazel(
    workspace: BazelWorkspace, make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    require_tls_library()
    pem = tmp_path / "server"
    issued = trustme.CA().issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(pem)
    server = make_rpw_server(tool_inputs=TOOLS, tls_cert=str(pem), tls_key=str(pem))
    result = workspace.build(ONE, flags=server.bazel_flags())
    assert result.exit_code == 0, result.stderr


def _pkcs8(pem: Path) -> Path:
    """The key in the one form that Bazel's TLS library reads."""
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(pem.read_bytes(), password=None)
    path = pem.with_suffix(".pkcs8")
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path
