"""``check --target``: the checks that need results alone, on a server that runs elsewhere."""

import json
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from rpw_fixture import Server
from rpw_fixture.cli import main
from rpw_fixture.client.existing_server import ExistingServer
from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.checks.remote_limits import JUDGED
from rpw_fixture.hermeticity.findings.report import CheckState, Report
from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.hermeticity.trials.harness import Harness
from rpw_fixture.hermeticity.trials.trial import Listing, Step, Trial, UnavailableError
from tests.hermeticity.samples import codes, stage


@pytest.fixture
def cluster() -> Iterator[Server]:
    with Server() as server:
        yield server
        server.assert_no_internal_error()


def stage_for_cluster(
    folder: Path,
    script: str,
    *arguments: str,
    headers: Sequence[str] = ("alpha", "beta"),
    with_failure: bool = False,
) -> Path:
    """Write a suite whose environment has this PATH, which an endpoint does not get."""
    worker = f"env = {{ PATH = {json.dumps(os.environ['PATH'])} }}"
    return stage(
        folder, script, *arguments, worker=worker, headers=headers, with_failure=with_failure
    )


def run_there(suite: Path, server: Server) -> Report:
    return check(load(suite), Options(jobs=2, target=ExistingServer(endpoint=server.endpoint)))


def states(report: Report) -> dict[str, CheckState]:
    return {each.code: each for each in report.checks}


def test_a_leak_is_found_on_another_server_with_its_polluter(
    tmp_path: Path, cluster: Server
) -> None:
    report = run_there(stage_for_cluster(tmp_path / "suite", "leaky.py"), cluster)
    leaks = [each for each in report.findings if each.code == "RPW202"]
    assert {(each.victim, each.polluters) for each in leaks} == {
        ("beta", ("alpha",)),
        ("alpha", ("beta",)),
    }
    (finding,) = [each for each in leaks if each.victim == "beta"]
    assert finding.outputs == ("out/beta.txt",)
    assert "+alpha" in finding.evidence
    assert len(cluster.workers) > 2


def test_a_good_worker_is_clean_and_the_tools_are_reported(tmp_path: Path, cluster: Server) -> None:
    suite = stage_for_cluster(tmp_path / "suite", "good.py", with_failure=True)
    report = run_there(suite, cluster)
    assert report.findings == ()
    passed = {code for code, each in states(report).items() if each.status == "passed"}
    assert passed == JUDGED
    assert "requests met a warm worker" in states(report)["RPW202"].reason
    assert "TZ" in states(report)["RPW209"].reason
    assert "clock" not in states(report)["RPW209"].reason.partition("not varied")[0]
    assert len(cluster.actions.persistent()) > len(cluster.actions.one_shot()) > 0


def test_what_needs_more_than_results_is_skipped_with_its_reason(
    tmp_path: Path, cluster: Server
) -> None:
    told = states(run_there(stage_for_cluster(tmp_path / "suite", "good.py"), cluster))
    assert {code for code, each in told.items() if each.status == "skipped"} == (
        told.keys() - JUDGED
    )
    assert told["RPW301"].reason == "not possible with --target: needs a view of the process"
    assert told["RPW210"].reason == (
        "not possible with --target: needs control of the worker's environment"
    )
    assert told["RPW107"].reason == "not possible with --target: needs control of the requests"
    assert told["RPW402"].reason == "needs a recording made by serve --record"


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("stale_input.py", "RPW203"),
        ("phantom_input.py", "RPW204"),
        ("two_ways.py", "RPW205"),
        ("sticky_failure.py", "RPW109"),
        ("random_header.py", "RPW201"),
        ("shared_log.py", "RPW212"),
        ("large_frames.py", "RPW113"),
        ("no_one_shot.py", "RPW108"),
    ],
)
def test_broken_workers_are_found_from_afar(
    tmp_path: Path, cluster: Server, script: str, code: str
) -> None:
    suite = stage_for_cluster(tmp_path / "suite", script, with_failure=code == "RPW109")
    assert code in codes(run_there(suite, cluster))


def test_a_worker_that_dies_when_warm_is_found_without_seeing_how(
    tmp_path: Path, cluster: Server
) -> None:
    suite = stage_for_cluster(tmp_path / "suite", "crashing.py", "--after=1")
    report = run_there(suite, cluster)
    (finding,) = report.findings
    assert (finding.code, finding.victim, finding.polluters) == ("RPW202", "beta", ("alpha",))
    assert "no result (after the polluters)" in finding.evidence
    assert states(report)["RPW103"].status == "skipped"


def test_two_polluters_are_shrunk_from_afar(tmp_path: Path, cluster: Server) -> None:
    suite = stage_for_cluster(tmp_path / "suite", "joint_leak.py", headers=("open", "one", "fill"))
    (finding,) = run_there(suite, cluster).findings
    assert (finding.victim, set(finding.polluters)) == ("one", {"open", "fill"})


def test_where_no_worker_is_kept_nothing_has_passed_that_needs_one(
    tmp_path: Path, cluster: Server
) -> None:
    suite = stage_for_cluster(tmp_path / "suite", "leaky.py")
    # Without a tool input the server has no reason to keep the process.
    text = suite.read_text().replace('tool_inputs = ["tools/**"]', "")
    tools = ', "tools/leaky.py", "tools/good.py", "tools/rpw_worker.py"]'
    lines = [line[:-1] + tools if line.startswith("inputs") else line for line in text.splitlines()]
    suite.write_text("\n".join(lines) + "\n")
    report = run_there(suite, cluster)
    assert report.findings == ()
    told = states(report)
    assert {told[each].status for each in ("RPW202", "RPW203", "RPW109", "RPW205")} == {"skipped"}
    assert told["RPW202"].reason == (
        "nothing was found, but the endpoint keeps no persistent worker: "
        "it ran 4 of 4 requests of a probe with a worker key one-shot"
    )
    assert told["RPW201"].status == "passed"


def test_workers_that_are_replaced_after_each_request_are_reported(tmp_path: Path) -> None:
    suite = stage_for_cluster(tmp_path / "suite", "leaky.py")
    with Server(worker_max_requests=1) as server:
        told = states(run_there(suite, server))
    assert told["RPW202"].status == "skipped"
    assert told["RPW202"].reason == (
        "nothing was found, but no worker of the endpoint served two requests in a row"
    )


def test_a_trial_that_needs_a_hand_on_the_process_is_refused(
    tmp_path: Path, cluster: Server
) -> None:
    suite = load(stage_for_cluster(tmp_path / "suite", "good.py"))
    step = Step(action=suite.actions[0], listing=Listing.NONE)
    with (
        Harness(suite, target=ExistingServer(endpoint=cluster.endpoint)) as harness,
        pytest.raises(UnavailableError, match="not possible with --target"),
    ):
        harness.run(Trial(history=(step,)))


def test_an_endpoint_that_does_not_answer_is_reported_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = stage_for_cluster(tmp_path / "suite", "good.py")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        endpoint = f"grpc://127.0.0.1:{taken.getsockname()[1]}"
        assert main(["check", str(suite), "--target", endpoint]) == 3
    error = capsys.readouterr().err
    assert "--target: no REAPI server answers" in error
    assert endpoint in error
    assert error.count("\n") == 1


def test_an_endpoint_that_cannot_run_the_actions_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = stage_for_cluster(tmp_path / "suite", "good.py")
    with Server(allow_local=False) as server:
        assert main(["check", str(suite), "--target", server.endpoint]) == 3
    assert "--no-allow-local" in capsys.readouterr().err


def test_a_worker_that_never_answers_there_is_reported_in_one_line(
    tmp_path: Path, cluster: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = stage_for_cluster(tmp_path / "suite", "crashing.py")
    assert main(["check", str(suite), "--target", cluster.endpoint]) == 3
    error = capsys.readouterr().err
    assert "no action of the suite can be run there: alpha: FAILED_PRECONDITION" in error
    assert error.count("\n") == 1


def test_no_endpoint_at_all_is_wrong_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = stage_for_cluster(tmp_path / "suite", "good.py")
    assert main(["check", str(suite), "--target", "nowhere"]) == 2
    assert "endpoint 'nowhere' is neither" in capsys.readouterr().err
