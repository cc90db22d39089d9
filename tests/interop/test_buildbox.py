"""Another implementation of the protocol in our clients' hands: ``buildbox-casd`` and its executor.

It executes actions one-shot, each in a sandbox whose ``/`` is the input root.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

# A session in this process forgets what it imported, and gRPC can't be loaded twice.
import rpw_fixture.testing.cluster  # noqa: F401 - as above
from rpw_fixture import Action, Client, Server
from rpw_fixture.cli import main
from rpw_fixture.client.existing_server import ExistingServer
from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.findings.codes import expand
from rpw_fixture.hermeticity.suites.suite_file import load
from tests.hermeticity.reports import comparable
from tests.hermeticity.samples import stage

from .buildbox import PYTHON, Casd
from .requirements import require_buildbox


@pytest.fixture(scope="module")
def casd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Casd]:
    programs = require_buildbox()
    with Casd(programs, tmp_path_factory.mktemp("casd")) as running:
        yield running


def suite(folder: Path, script: str) -> str:
    """A suite whose program is the one Python that the sandbox has."""
    path = stage(folder, script, headers=("alpha", "beta"))
    path.write_text(path.read_text().replace('"python3"', json.dumps(PYTHON)))
    return str(path)


def test_a_good_worker_is_clean_there_and_what_could_not_be_judged_is_said(
    tmp_path: Path, casd: Casd, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--select", "RPW108,RPW202", "--target", casd.endpoint)

    assert main(["check", suite(tmp_path / "suite", "good.py"), *options]) == 0
    told = capsys.readouterr().out
    assert "1 of 2 checks passed" in told
    assert "RPW202 state-leak: nothing was found, but the endpoint keeps no persistent" in told


def test_a_worker_that_is_broken_in_each_process_is_found_there(
    tmp_path: Path, casd: Casd, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--select", "RPW201", "--target", casd.endpoint)

    assert main(["check", suite(tmp_path / "suite", "random_header.py"), *options]) == 1
    assert "RPW201 nondeterministic" in capsys.readouterr().out


def test_trials_run_there_as_actions_and_find_what_they_find_at_home(
    tmp_path: Path, casd: Casd, monkeypatch: pytest.MonkeyPatch, no_pauses: None
) -> None:
    there = f"{Path(PYTHON).parent}:/usr/bin:/bin"
    monkeypatch.setenv("PATH", there)
    suite = load(stage(tmp_path / "suite", "leaky.py"))
    options = Options(selected=expand("RPW202"), jobs=2)
    executor = ExistingServer(endpoint=casd.endpoint, search_path=there)

    home = check(suite, options)
    far = check(suite, replace(options, executor=executor))
    assert comparable(far) == comparable(home)
    assert {each.victim for each in far.findings} == {"alpha", "beta"}


def making(outputs: list[str]) -> Action:
    """An action three deep that makes a tree above and a file beside its working directory."""
    script = """
        mkdir -p ../../made/two; echo 1 > ../../made/one; echo 3 > ../../made/two/three
        ln -s one ../../made/link; echo out > ../out
    """
    return Action(
        arguments=["/bin/sh", "-c", textwrap.dedent(script)],
        inputs={"a/b/c/input": "x\n"},
        outputs=outputs,
        working_directory="a/b/c",
        environment={"PATH": "/usr/bin:/bin"},
        do_not_cache=True,
    )


@pytest.mark.parametrize(
    "outputs", [["../../made", "../out"], ["../../made/one", "../none"], [".."]]
)
def test_outputs_beside_the_working_directory_are_what_they_are_here(
    casd: Casd, outputs: list[str]
) -> None:
    with Server() as server, Client(casd.endpoint) as other:
        ours, theirs = server.run(making(outputs)), other.run(making(outputs))

    assert len(ours.outputs) > 0
    assert ours.outputs == theirs.outputs


def test_the_whole_input_root_is_an_output_there_as_here(casd: Casd) -> None:
    with Server() as server, Client(casd.endpoint) as other:
        found = [each.run(making(["../../.."])).outputs.files for each in (server, other)]

    ours, theirs = ({path for path in files if path.startswith("../../../a/")} for files in found)
    assert ours == theirs
    assert "../../../a/made/two/three" in ours


def test_our_fixture_runs_tests_against_it(casd: Casd, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest
        from rpw_fixture import Action

        ACTION = Action(
            arguments=["/bin/sh", "-c", "cat a/in > ../out"],
            working_directory="w",
            inputs={"w/a/in": "text\\n"},
            outputs=["../out"],
            environment={"PATH": "/usr/bin:/bin"},
            worker_key="key",
        )

        @pytest.mark.parametrize("round", range(2))
        def test_nothing_is_known_of_earlier_tests(rpw_server, round):
            first, second = rpw_server.run(ACTION), rpw_server.run(ACTION)
            assert (first.cached, second.cached) == (False, True)
            assert first.outputs == second.outputs == {"../out": b"text\\n"}

        def test_a_failure_is_a_result(rpw_server):
            outcome = rpw_server.run(Action(arguments=["/bin/sh", "-c", "echo no >&2; exit 3"]))
            assert (outcome.exit_code, outcome.stderr) == (3, b"no\\n")

        def test_it_does_not_say_who_ran_what(rpw_server):
            rpw_server.run(ACTION)
            rpw_server.assert_one_shot(ACTION)
    """)
    options = ("-p", "no:randomly", "-rs", "--rpw-endpoint", casd.endpoint)
    pytester.runpytest_inprocess(*options).assert_outcomes(passed=3, skipped=1)
