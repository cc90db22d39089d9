"""What a new worker is compared with, and which workers its tool makes outdated."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpw_fixture.client.action import Action
from rpw_fixture.events.kinds import ActionCompleted, WorkerNotReused, WorkerRetired, WorkerStarted
from rpw_fixture.testing.endpoint import Endpoint
from rpw_fixture.workers import pool
from tests.waiting import PATIENCE

from .worker_actions import begun, probe_action

SAMPLES = Path(__file__).resolve().parents[2] / "sample_workers" / "python"


def version(number: int, **others: object) -> Action:
    """Return the probe after a number of edits, with a key that changes with the tool, as Bazel's does."""
    edited = b"# edit %d\n" % number + (SAMPLES / "good.py").read_bytes()
    return probe_action(worker_key=f"key of {number}", **others).with_tool_input(
        "tools/good.py", edited
    )


def retired(server: Endpoint) -> dict[int, str]:
    return {each.worker: each.reason for each in server.events.of(WorkerRetired)}


def test_an_edit_is_compared_with_the_former_version_not_with_the_newest_worker(
    rpw_server: Endpoint,
) -> None:
    first = rpw_server.run(version(1, environment={"MANY": "1", "OTHER": "1"}))
    rpw_server.run(version(1, startup=("--on-cancel=obey",)))
    rpw_server.run(version(2, environment={"MANY": "1", "OTHER": "1"}))

    record = rpw_server.events.of(WorkerNotReused)[-1]
    assert record.closest_worker == first.worker
    assert {each.partition(":")[0] for each in record.differences} == {
        "persistentWorkerKey",
        "tool input tools/good.py",
    }


def test_of_workers_with_the_same_arguments_the_one_with_the_fewest_differences_counts(
    rpw_server: Endpoint,
) -> None:
    near = rpw_server.run(probe_action(environment={"A": "1"}))
    rpw_server.run(probe_action(environment={"A": "9", "B": "9", "C": "9"}))
    rpw_server.run(probe_action(environment={"A": "2"}))

    record = rpw_server.events.of(WorkerNotReused)[-1]
    assert record.closest_worker == near.worker
    assert record.differences == ("environment: A '1' → '2'",)


def test_workers_of_former_versions_are_retired(rpw_server: Endpoint) -> None:
    for number in range(4):
        rpw_server.run(version(number))

    assert rpw_server.events.wait_for(lambda _: len(retired(rpw_server)) == 3, PATIENCE)
    assert retired(rpw_server) == dict.fromkeys((1, 2, 3), "outdated tool")
    assert [each.worker for each in rpw_server.workers.alive()] == [4]


def test_a_busy_worker_of_a_former_version_ends_its_request_first(
    rpw_server: Endpoint, tmp_path: Path
) -> None:
    edited = version(2)
    running = begun(rpw_server, tmp_path, "one")
    newer = rpw_server.run(edited.replace(worker_key="newer"))
    assert not retired(rpw_server)
    (tmp_path / "gate").touch()

    assert running.result().ok
    assert rpw_server.events.wait_for(lambda _: bool(retired(rpw_server)), PATIENCE)
    assert retired(rpw_server) == {1: "outdated tool"}
    assert newer.worker == 2


def test_two_versions_in_use_are_both_kept(rpw_server: Endpoint) -> None:
    """Two clients with two branches: the second time a version comes, it stays."""
    for _ in range(4):
        for number in (1, 2):
            rpw_server.run(version(number))

    assert len(rpw_server.events.of(WorkerStarted)) == 3
    assert len(rpw_server.workers.alive()) == 2


def test_other_startup_arguments_or_tools_make_nothing_outdated(rpw_server: Endpoint) -> None:
    rpw_server.run(version(1))
    rpw_server.run(version(2, startup=("--on-cancel=obey",)))
    rpw_server.run(version(3, environment={"A": "1"}))
    rpw_server.run(version(4).with_tool_input("tools/more", b"more"))

    assert not retired(rpw_server)
    assert len(rpw_server.workers.alive()) == 4


def test_under_one_client_key_a_former_version_ends_when_no_action_asks_for_it(
    rpw_server: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_OUTDATED_PATIENCE", 0.0)
    rpw_server.run(version(1).replace(worker_key="same"))
    rpw_server.run(version(2).replace(worker_key="same"))

    assert rpw_server.events.wait_for(lambda _: bool(retired(rpw_server)), PATIENCE)
    assert retired(rpw_server) == {1: "outdated tool"}


def test_events_of_workers_and_results_name_mnemonic_and_target(rpw_server: Endpoint) -> None:
    rpw_server.run(version(1, mnemonic="Probe", target="//a:one"))
    rpw_server.run(version(1, mnemonic="Probe", target="//a:two", environment={"A": "1"}))
    rpw_server.run(probe_action(worker_key=None, mnemonic="Once", target="//a:three"), check=False)

    def named(kind: type) -> list[tuple[str, str]]:
        return [(each.mnemonic, each.target) for each in rpw_server.events.of(kind)]

    assert named(WorkerStarted) == [("Probe", "//a:one"), ("Probe", "//a:two")]
    assert named(WorkerNotReused) == [("Probe", "//a:two")]
    assert named(ActionCompleted) == [*named(WorkerStarted), ("Once", "//a:three")]
    reasons = [each.reason for each in rpw_server.events.of(ActionCompleted)]
    assert reasons[0].startswith("persistentWorkerKey")
    assert "is not set" in reasons[2]
