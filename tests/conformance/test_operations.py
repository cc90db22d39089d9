"""Coming back to operations, and ending them: points 169 to 176."""

from __future__ import annotations

import grpc
import psutil
import pytest

from rpw_fixture.execution import operation as operation_module

from .client import refused
from .executing import (
    COMPLETED,
    EXECUTING,
    metadata_of,
    re,
    response_of,
    sha256,
)

CANCELLED = grpc.StatusCode.CANCELLED.value[0]


@pytest.mark.point(169)
def test_waiting_tells_the_state_at_once_and_then_the_end(executor, gate):
    call = executor.execute(executor.shell(f"{gate.script}; echo done"))
    name = next(call).name
    gate.wait_until_reached()
    waiting = executor.wait(name)
    first = next(waiting)
    assert first.name == name
    assert metadata_of(first).stage == EXECUTING
    gate.open()
    for followed in (waiting, call):
        assert executor.stdout(response_of([first, *followed])) == b"done\n"


@pytest.mark.point(169)
@pytest.mark.point(174)
def test_a_client_whose_stream_broke_comes_back_and_gets_the_result(executor, gate, tmp_path):
    runs = tmp_path / "runs"
    call = executor.execute(executor.shell(f"echo run >> {runs}; {gate.script}; echo done"))
    name = next(call).name
    gate.wait_until_reached()
    call.cancel()
    waiting = executor.wait(name)
    assert not next(waiting).done
    gate.open()
    assert executor.stdout(response_of(list(waiting))) == b"done\n"
    assert runs.read_text() == "run\n"


@pytest.mark.point(169)
def test_many_may_wait_for_one_operation(executor, gate):
    call = executor.execute(executor.shell(f"{gate.script}; echo done"))
    name = next(call).name
    waiting = [executor.wait(name) for _ in range(5)]
    for each in waiting:
        next(each)
    gate.open()
    for each in (call, *waiting):
        assert executor.stdout(response_of(list(each))) == b"done\n"


@pytest.mark.point(170)
@pytest.mark.parametrize("name", ["", "unknown", "../x", "a" * 10_000])
def test_waiting_for_an_unknown_operation_is_not_found(executor, name):
    with refused(grpc.StatusCode.NOT_FOUND, repr(name[:20])[:-1]):
        list(executor.wait(name))


@pytest.mark.point(171)
def test_a_finished_operation_can_be_asked_for_again_and_again(executor):
    operations = list(executor.execute(executor.shell("echo done")))
    for _ in range(2):
        (again,) = executor.wait(operations[-1].name)
        assert again == operations[-1]
        assert executor.get(again.name) == operations[-1]


@pytest.mark.point(171)
def test_a_finished_operation_is_forgotten_after_its_grace_period(make_executor):
    executor = make_executor(operation_grace=0.0)
    (*_, last) = executor.execute(executor.shell("echo 1"))
    executor.run_shell("echo 2")
    with refused(grpc.StatusCode.NOT_FOUND, last.name):
        executor.get(last.name)


@pytest.mark.point(171)
def test_an_operation_that_takes_long_is_not_forgotten(make_executor, gate):
    executor = make_executor(operation_grace=0.0)
    call = executor.execute(executor.shell(gate.script))
    name = next(call).name
    names = []
    for number in range(20):
        (*_, last) = executor.execute(executor.shell(f"echo {number}"))
        names.append(last.name)
    assert not executor.get(name).done
    with refused(grpc.StatusCode.NOT_FOUND):
        executor.get(names[0])
    gate.open()
    response_of(list(call))


@pytest.mark.point(173)
def test_a_retriable_failure_is_final_and_executing_again_runs_again(executor):
    directory = re.Directory(files=[re.FileNode(name="f", digest=sha256(b"late"))])
    digest = executor.action(
        executor.command("/bin/cat", "f"), input_root_digest=executor.put(directory)
    )
    (*_, last) = executor.execute(digest)
    executor.put(b"late")
    (again,) = executor.wait(last.name)
    assert again == last
    assert executor.stdout(executor.run(digest)) == b"late"


@pytest.mark.point(174)
def test_a_cancelled_operation_ends_with_cancelled_and_its_processes_are_killed(
    executor, tmp_path, gate
):
    pids = tmp_path / "pids"
    script = f"sleep 61 & echo $! >> {pids}; setsid sleep 62 & echo $! >> {pids}; {gate.script}"
    call = executor.execute(executor.shell(script))
    name = next(call).name
    gate.wait_until_reached()
    processes = [psutil.Process(int(pid)) for pid in pids.read_text().split()]
    executor.cancel(name)
    response = response_of(list(call))
    assert response.status.code == CANCELLED
    assert name in response.status.message
    assert psutil.wait_procs(processes, timeout=10)[1] == []
    assert executor.get(name).done


@pytest.mark.point(174)
def test_cancelling_an_action_that_waits_for_its_turn_keeps_it_from_running(
    make_executor, gate, tmp_path
):
    executor, ran = make_executor(jobs=1), tmp_path / "ran"
    first = executor.execute(executor.shell(gate.script))
    gate.wait_until_reached()
    second = executor.execute(executor.shell(f"touch {ran}"))
    executor.cancel(next(second).name)
    assert response_of(list(second)).status.code == CANCELLED
    gate.open()
    response_of(list(first))
    executor.run_shell("echo the queue is empty")
    assert not ran.exists()


@pytest.mark.point(174)
def test_a_cancelled_action_can_be_executed_again(executor, gate, tmp_path):
    again = tmp_path / "again"
    digest = executor.shell(f"[ -e {again} ] || {gate.script}; echo done")
    call = executor.execute(digest)
    name = next(call).name
    gate.wait_until_reached()
    executor.cancel(name)
    list(call)
    again.touch()
    assert executor.stdout(executor.run(digest)) == b"done\n"


@pytest.mark.point(174)
def test_cancelling_what_is_over_changes_nothing(executor):
    (*_, last) = executor.execute(executor.shell("echo done"))
    executor.cancel(last.name)
    assert executor.get(last.name) == last


@pytest.mark.point(174)
def test_cancelling_an_unknown_operation_is_not_found(executor):
    with refused(grpc.StatusCode.NOT_FOUND, "'unknown'"):
        executor.cancel("unknown")


@pytest.mark.point(175)
def test_asking_for_an_operation_tells_the_same_as_the_stream(executor, gate):
    call = executor.execute(executor.shell(gate.script))
    name = next(call).name
    gate.wait_until_reached()
    running = executor.get(name)
    assert running.name == name
    assert not running.done
    assert metadata_of(running).stage == EXECUTING
    gate.open()
    (*_, last) = call
    assert executor.get(name) == last
    assert metadata_of(last).stage == COMPLETED


@pytest.mark.point(175)
def test_asking_for_an_unknown_operation_is_not_found(executor):
    with refused(grpc.StatusCode.NOT_FOUND, "'unknown'"):
        executor.get("unknown")


@pytest.mark.point(175)
@pytest.mark.parametrize("method", ["ListOperations", "DeleteOperation", "WaitOperation"])
def test_other_methods_of_operations_are_unimplemented(executor, method):
    path = f"/google.longrunning.Operations/{method}"
    with pytest.raises(grpc.RpcError) as caught:
        executor.client.channel.unary_unary(path)(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.point(176)
def test_a_long_action_is_heard_of_again_and_again(executor, gate, monkeypatch):
    monkeypatch.setattr(operation_module, "_UPDATE_INTERVAL", 0.01)
    call = executor.execute(executor.shell(gate.script))
    heard = [next(call) for _ in range(5)]
    assert not any(operation.done for operation in heard)
    gate.open()
    response_of([*heard, *call])


@pytest.mark.point(174)
def test_a_client_that_left_leaves_no_thread_of_the_server_behind(executor, gate):
    """More clients come and go than the server has threads for calls."""
    name = next(executor.execute(executor.shell(gate.script))).name
    for _ in range(executor.server.config.threads + 10):
        call = executor.wait(name)
        next(call)
        call.cancel()
    assert not executor.get(name).done
    gate.open()
    response_of(list(executor.wait(name)))


@pytest.mark.point(172)
@pytest.mark.point(171)
def test_a_stream_that_ended_well_before_the_action_is_followed_by_waiting(executor, gate):
    executor.server.faults.half_close("Execute", first=1)
    call = executor.execute(executor.shell(f"{gate.script}; echo done"))
    (only,) = call
    assert not only.done
    gate.open()
    assert executor.stdout(response_of(list(executor.wait(only.name)))) == b"done\n"


@pytest.mark.point(170)
@pytest.mark.point(171)
def test_after_a_lost_last_message_the_result_can_be_waited_for(executor):
    executor.server.faults.fail("Execute", "UNAVAILABLE", first=1, after=1)
    call = executor.execute(executor.shell("echo done"))
    name = next(call).name
    with refused(grpc.StatusCode.UNAVAILABLE):
        list(call)
    assert executor.stdout(response_of(list(executor.wait(name)))) == b"done\n"
