"""``run`` around real Bazel, and around a script that calls it twice and only knows RPW_ENDPOINT."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .requirements import require_bazel, require_bazel_jar, require_jdk
from .upper_workspace import KEYS, NAMES, ROOT, UpperWorkspace

RUN = (sys.executable, "-m", "rpw_fixture", "run", "--tool-input", "tools/**")
COUNT = len(NAMES)
#: What a person does who knows the address only.
SCRIPT = """#!/bin/sh
set -e
startup="$1"
build() { bazel $startup build --remote_executor="$RPW_ENDPOINT" --spawn_strategy=remote "$@"; }
build //:api
build //:core //:io
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpperWorkspace]:
    workspace = UpperWorkspace(tmp_path_factory.mktemp("run"), require_bazel())
    try:
        yield workspace
    finally:
        workspace.close()


@pytest.fixture
def workspace(shared: UpperWorkspace) -> UpperWorkspace:
    shared.set_properties(KEYS)
    shared.forget()
    return shared


def run(workspace: UpperWorkspace, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RUN, *arguments],
        cwd=workspace.root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_build_reuses_its_workers(workspace: UpperWorkspace) -> None:
    expect = ("--expect", "reused@Upper", "--expect", "no-one-shot", "--expect", "worker-starts<=1")
    done = run(
        workspace,
        "--max-workers-per-key=1",
        *expect,
        *("--", "bazel", *workspace.startup, "build", "//..."),
    )
    assert done.returncode == 0, done.stderr
    assert f"{COUNT} remote" in done.stderr
    assert f"{COUNT} actions: {COUNT} on workers ({COUNT - 1} reused" in done.stderr
    assert (workspace.root / "bazel-bin/api.txt").read_text().startswith("API")


def test_a_build_that_runs_one_shot_fails_the_expectation_and_says_what_to_do(
    workspace: UpperWorkspace,
) -> None:
    workspace.set_properties("{}")
    done = run(workspace, "--expect", "reused", "--", "bazel", *workspace.startup, "build", "//...")
    assert done.returncode == 1, done.stderr
    assert "Build completed successfully" in done.stderr
    assert "expect reused: does not hold\n  no action ran on a worker\n" in done.stderr
    assert "exec_properties" in done.stderr


#: A worker rule's targets, one with a property already, and a target of another rule.
KEYED_BUILD = """
load("//:{rules}", "upper")
upper(name = "api", src = "api.in")
upper(name = "core", src = "core.in", exec_properties = {{"cache-silo-key": "blue"}})
genrule(name = "plain", outs = ["plain.txt"], cmd = "echo made > $@")
"""


def routed(workspace: UpperWorkspace, events: Path, *flags: str) -> dict[str, tuple[str, str]]:
    """Build all; how each target's action ran, and why."""
    command = ["bazel", *workspace.startup, "build", *flags, "//..."]
    done = run(workspace, "--events", str(events), "--", *command)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in events.read_text().splitlines()]
    shown = [each for each in found if each["event"] == "action_routed"]
    return {each["target"]: (each["mode"], each["reason"]) for each in shown}


def test_before_bazel_6_a_macro_sends_only_the_actions_of_a_worker_rule_to_workers(
    workspace: UpperWorkspace, tmp_path: Path
) -> None:
    page = (ROOT / "docs/bazel-and-buck2.md").read_text("utf-8")
    (macro,) = re.findall(r"^```starlark\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (workspace.root / "macro.bzl").write_text(macro)
    (workspace.root / "BUILD").write_text(KEYED_BUILD.format(rules="macro.bzl"))
    ran = routed(workspace, tmp_path / "events")
    assert [ran[name][0] for name in ("//:api", "//:core")] == ["worker", "worker"]
    assert ran["//:plain"] == ("one-shot", "persistentWorkerKey is not set")


def test_a_default_property_reaches_all_targets_but_those_that_have_properties(
    workspace: UpperWorkspace, tmp_path: Path
) -> None:
    (workspace.root / "BUILD").write_text(KEYED_BUILD.format(rules="rules.bzl"))
    flag = "--remote_default_exec_properties=persistentWorkerKey=all"
    ran = routed(workspace, tmp_path / "events", flag)
    assert ran["//:api"][0] == "worker"
    assert ran["//:core"] == ("one-shot", "persistentWorkerKey is not set")
    assert (
        "persistentWorkerKey" not in ran["//:plain"][1]
    )  # it is set, and something else is missing


def test_a_build_that_fails_keeps_its_exit_code_and_shows_where_the_action_ran(
    workspace: UpperWorkspace,
) -> None:
    (workspace.root / "BUILD").write_text('genrule(name = "bad", outs = ["x"], cmd = "exit 3")\n')
    done = run(workspace, "--", "bazel", *workspace.startup, "build", "//:bad")
    assert done.returncode == 1
    assert "rpw_fixture: ran one-shot: persistentWorkerKey is not set" in done.stderr


def test_a_script_that_builds_twice_and_only_knows_the_endpoint(
    workspace: UpperWorkspace, tmp_path: Path
) -> None:
    script = tmp_path / "script.sh"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    done = run(
        workspace, "--expect", "reused@Upper", "--", str(script), " ".join(workspace.startup)
    )
    assert done.returncode == 0, done.stderr
    assert "3 actions: 3 on workers" in done.stderr


def test_a_wrapper_with_bazelisk_s_name_gets_the_flags(
    workspace: UpperWorkspace, tmp_path: Path
) -> None:
    wrapper = tmp_path / "bazelisk"
    wrapper.write_text('#!/bin/sh\nexec bazel "$@"\n')
    wrapper.chmod(0o755)
    command = (str(wrapper), *workspace.startup, "build", "//:api", "//:ui")
    done = run(workspace, "--max-workers-per-key=1", "--expect", "reused@Upper", "--", *command)
    assert done.returncode == 0, done.stderr
    assert "2 actions: 2 on workers (1 reused" in done.stderr


def test_a_java_program_that_only_knows_the_endpoint(tmp_path: Path) -> None:
    jar = require_bazel_jar()
    require_jdk()
    source = Path(__file__).parent / "java_client" / "RunEcho.java"
    compiler = ["javac", "-proc:none", "-cp", str(jar), "-d", str(tmp_path), str(source)]
    subprocess.run(compiler, check=True, capture_output=True)
    command = ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{tmp_path}:{jar}", "RunEcho", "hello"]
    done = subprocess.run(
        [*RUN, "--", *command], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    assert "1 action: 0 on workers, 1 one-shot" in done.stderr


def test_the_bazelrc_does_the_same(workspace: UpperWorkspace) -> None:
    bazel = " ".join(["bazel", *workspace.startup])
    script = f'{bazel} --bazelrc="$RPW_BAZELRC" build //:api'
    script += f" && {bazel} --bazelrc={{bazelrc}} build //:ui"
    done = run(workspace, "--", "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    assert "2 actions: 2 on workers" in done.stderr
