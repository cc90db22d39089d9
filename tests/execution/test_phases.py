"""Points in time of an action's execution: those not reached yet, and those that are skipped."""

from __future__ import annotations

import pytest

from rpw_fixture import Action, Server
from rpw_fixture.execution.results import Timeline
from rpw_fixture.wire.protos import remote_execution as reapi
from tests.faults.bare_calls import bare, shell

POINTS = (
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


def reached(metadata: reapi.ExecutedActionMetadata) -> dict[str, int]:
    """The points that have a time, in nanoseconds."""
    stamps = {point: getattr(metadata, f"{point}_timestamp") for point in POINTS}
    return {
        point: stamp.ToNanoseconds()
        for point, stamp in stamps.items()
        if metadata.HasField(f"{point}_timestamp")
    }


def finished(server: Server, action: Action) -> reapi.ExecutedActionMetadata:
    """Return what the response says about an executed action, successful or not."""
    digest = server.run(action, check=False).digest
    with bare(server) as calls:
        operation = calls.execute(digest, skip_cache_lookup=True)[-1]
    response = reapi.ExecuteResponse()
    assert operation.response.Unpack(response)
    return response.result.execution_metadata


def test_an_operation_under_way_says_what_it_has_reached_and_no_more(rpw_server: Server) -> None:
    digest = rpw_server.run(shell()).digest
    with bare(rpw_server) as calls:
        operations = calls.execute(digest, skip_cache_lookup=True)
    counts = []
    for operation in operations[:-1]:
        metadata = reapi.ExecuteOperationMetadata()
        operation.metadata.Unpack(metadata)
        points = reached(metadata.partial_execution_metadata)
        assert tuple(points) == POINTS[: len(points)]
        assert sorted(points.values()) == list(points.values())
        assert points.get("queued", 1) > 0
        counts.append(len(points))
    assert counts == sorted(counts)
    assert counts
    assert 1 <= counts[0] < len(POINTS)


@pytest.mark.parametrize("script", ["exit 3", "kill -9 $$", "echo hi > out"])
def test_a_finished_action_has_all_points_in_order(rpw_server: Server, script: str) -> None:
    points = reached(finished(rpw_server, shell(script)))
    assert tuple(points) == POINTS
    assert list(points.values()) == sorted(points.values())


def test_an_action_that_could_not_be_started_has_all_points_too(rpw_server: Server) -> None:
    metadata = finished(rpw_server, shell().with_arguments("/no/such/program"))
    points = reached(metadata)
    assert tuple(points) == POINTS
    assert list(points.values()) == sorted(points.values())


def test_points_that_are_skipped_have_the_time_of_the_one_before() -> None:
    timeline = Timeline()
    for point in ("worker_start", "input_fetch_completed", "worker_completed"):
        timeline.reach(point)
    partial, whole = reapi.ExecutedActionMetadata(), reapi.ExecutedActionMetadata()
    timeline.write_reached(partial)
    timeline.write_to(whole)

    known, points = reached(partial), reached(whole)
    assert tuple(known) == ("queued", "worker_start", "input_fetch_completed", "worker_completed")
    assert tuple(points) == POINTS
    assert known.items() <= points.items()
    assert points["input_fetch_start"] == known["worker_start"]
    for skipped in POINTS[4:8]:
        assert points[skipped] == known["input_fetch_completed"]
    assert not whole.HasField("virtual_execution_duration")
