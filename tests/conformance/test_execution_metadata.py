"""What comes with a result, streams, inlined content, metadata, and what is cached: points 159 to 168."""

from __future__ import annotations

import grpc
import pytest

from .executing import EXECUTING, facts_of, metadata_of, own, re, response_of, sha256, tool_action

FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION.value[0]
#: Timestamps in the order in which they must be.
STAMPS = (
    "queued",
    "worker_start",
    "input_fetch_start",
    "input_fetch_completed",
    "execution_start",
    "execution_completed",
    "output_upload_start",
    "output_upload_completed",
    "worker_completed",
)


@pytest.mark.point(159)
def test_streams_without_content_have_no_digest(executor):
    result = executor.run_shell("echo x >&2").result
    assert not result.HasField("stdout_digest")
    assert not result.stdout_raw
    assert result.stderr_digest == sha256(b"x\n")
    assert not result.stderr_raw


@pytest.mark.point(160)
@pytest.mark.point(93)
@pytest.mark.point(94)
@pytest.mark.point(95)
def test_content_is_inlined_on_demand_in_fresh_and_cached_results(executor):
    digest = executor.shell("echo o; echo e >&2; echo a > a; echo b > b", files=["a", "b"])
    for wants in (True, False, True):
        hints = {"inline_stdout": wants, "inline_stderr": wants}
        files = ["a", "unknown"] if wants else []
        result = executor.run(digest, **hints, inline_output_files=files).result
        assert result.stdout_raw == (b"o\n" if wants else b"")
        assert result.stderr_raw == (b"e\n" if wants else b"")
        contents = {file.path: file.contents for file in result.output_files}
        assert contents == {"a": b"a\n" if wants else b"", "b": b""}
        assert result.stdout_digest == sha256(b"o\n")


@pytest.mark.point(160)
@pytest.mark.point(93)
def test_what_would_make_a_response_too_large_is_not_inlined(executor):
    """The client's channel has gRPC's default limit of 4 MiB."""
    script = (
        "head -c 2500000 /dev/zero; head -c 2500000 /dev/zero >&2; head -c 5000000 /dev/zero > f"
    )
    digest = executor.shell(script, files=["f"])
    hints = {"inline_stdout": True, "inline_stderr": True, "inline_output_files": ["f"]}
    for _ in range(2):
        response = executor.run(digest, **hints)
        assert len(response.result.stdout_raw) == 2_500_000
        assert not response.result.stderr_raw
        assert not response.result.output_files[0].contents
        assert response.result.stderr_digest.size_bytes == 2_500_000


@pytest.mark.point(160)
@pytest.mark.point(112)
def test_clients_that_share_a_run_get_what_each_of_them_asked_for(executor, gate):
    digest = executor.shell(f"{gate.script}; echo o")
    plain, inline = executor.execute(digest), executor.execute(digest, inline_stdout=True)
    next(plain), next(inline)
    gate.open()
    assert response_of(list(plain)).result.stdout_raw == b""
    assert response_of(list(inline)).result.stdout_raw == b"o\n"


@pytest.mark.point(162)
@pytest.mark.parametrize("script", ["exit 1", "kill -9 $$", "exec /no/such/program"])
def test_a_failed_action_is_not_cached(executor, script):
    digest = executor.shell(script)
    assert executor.run(digest).result.exit_code
    assert not executor.run(digest).cached_result


@pytest.mark.point(162)
def test_an_action_with_another_status_than_ok_is_not_cached(executor):
    digest = executor.shell("mkfifo pipe", files=["pipe"])
    assert executor.run(digest).status.code == FAILED_PRECONDITION
    again = executor.run(digest)
    assert again.status.code == FAILED_PRECONDITION
    assert not again.cached_result


@pytest.mark.point(163)
def test_a_workers_stderr_is_among_the_server_logs(executor):
    response = executor.run(worker_action(executor, "--note", "hello from the worker"))
    log = response.server_logs["worker-stderr"]
    assert log.human_readable
    assert b"hello from the worker" in executor.read(log.digest)


@pytest.mark.point(164)
@pytest.mark.parametrize("kind", ["one-shot", "worker", "failing", "timed out", "refused"])
def test_metadata_name_the_worker_and_their_times_are_in_order(executor, kind):
    digest = {
        "one-shot": lambda: executor.shell("echo x > f", files=["f"]),
        "worker": lambda: worker_action(executor),
        "failing": lambda: executor.shell("exit 1"),
        "timed out": lambda: executor.shell("sleep 60", timeout=0.2),
        "refused": lambda: executor.shell("mkfifo f", files=["f"]),
    }[kind]()
    metadata = executor.run(digest).result.execution_metadata
    assert metadata.worker
    times = [getattr(metadata, f"{stamp}_timestamp").ToNanoseconds() for stamp in STAMPS]
    assert all(times)
    assert times == sorted(times)


@pytest.mark.point(166)
def test_auxiliary_metadata_tell_of_the_process(executor):
    facts = facts_of(executor.run_shell("echo x"))
    assert facts["mode"] == "one-shot"
    assert facts["peak_memory_bytes"] > 100_000
    assert "worker" not in facts


@pytest.mark.point(166)
def test_auxiliary_metadata_tell_of_the_worker(executor):
    first = facts_of(executor.run(worker_action(executor, "--note", "1")))
    second = facts_of(executor.run(worker_action(executor, "--note", "2")))
    assert first["mode"] == second["mode"] == "worker"
    assert first["worker"] == second["worker"]
    assert (first["reused"], second["reused"]) == (False, True)
    assert isinstance(second["request_id"], int)
    assert second["peak_memory_bytes"] > 1_000_000


@pytest.mark.point(167)
def test_a_cached_result_has_the_metadata_of_its_run(executor):
    digest = executor.shell("echo x")
    fresh, cached = executor.run(digest), executor.run(digest)
    assert cached.cached_result
    assert cached.result == fresh.result


@pytest.mark.point(100)
@pytest.mark.point(167)
def test_a_result_that_was_uploaded_without_metadata_gets_a_worker(executor):
    digest = executor.shell("exit 1")
    executor.client.action_cache.UpdateActionResult(
        re.UpdateActionResultRequest(action_digest=digest, action_result=re.ActionResult())
    )
    response = executor.run(digest)
    assert response.cached_result
    assert response.result.execution_metadata.worker


@pytest.mark.point(168)
def test_a_running_operation_tells_the_times_it_has_reached(executor, gate):
    call = executor.execute(executor.shell(gate.script))
    first = next(call)
    gate.wait_until_reached()
    operation = executor.get(first.name)
    assert metadata_of(operation).stage == EXECUTING
    metadata = own.ExecuteOperationMetadata.FromString(operation.metadata.value)
    partial = metadata.partial_execution_metadata
    assert partial.HasField("execution_start_timestamp")
    assert not partial.HasField("execution_completed_timestamp")
    gate.open()
    response_of([first, *call])


@pytest.mark.point(103)
def test_metadata_are_there_in_every_message(executor):
    for operation in executor.execute(executor.shell(":")):
        assert metadata_of(operation).action_digest.hash


WORKER = b"""
import sys
sys.dont_write_bytecode = True
import rpw_worker

def handle(request):
    arguments = request.expanded_arguments()
    if "--note" in arguments:
        print(arguments[arguments.index("--note") + 1], file=sys.stderr, flush=True)
    return rpw_worker.WorkResponse()

sys.exit(rpw_worker.main(handle))
"""


def worker_action(executor, *arguments):
    """An action for a small worker that can leave a note on stderr."""
    return tool_action(executor, WORKER, arguments)
