"""The rules for Bazel, with a real one and in its sandbox, with the single file and the zipapp."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import rpw_fixture
from rpw_fixture.plugin.bazel_workspace import BazelResult, BazelWorkspace
from tests.interop.requirements import require_bazel

from .programs import SHELL_SUITE, Programs

RULES = Path(rpw_fixture.__file__).parent / "starlark"
FLAGS = (
    "--spawn_strategy=linux-sandbox",
    "--incompatible_strict_action_env",
    "--keep_going",
    "--@rpw_fixture//:program=//tools:rpw-fixture",
)
BUILD = """
load("@rpw_fixture//:defs.bzl", "rpw_check_test", "rpw_server")
load("//tools:program.bzl", "program")

ACTIONS = [
    dict(
        name = name,
        arguments = ["--in", "src/%s.txt" % name, "--out", "%s.numbered" % name],
        inputs = ["src/%s.txt" % name],
        outputs = ["%s.numbered" % name],
    )
    for name in ["first", "second"]
]

program(name = "worker", src = "worker.sh")

program(name = "leaky", src = "leaky.sh")

program(
    name = "split",
    src = "split.sh",
    data = ["worker.sh"],
)

[
    rpw_check_test(
        name = name,
        actions = ACTIONS,
        arguments = ["--select", "RPW1,RPW202", "--pause=0"],
        program = "//tools:" + program,
        protocol = "json",
        worker = worker,
    )
    for name, program, worker in [
        ("file", "rpw-fixture", ":worker"),
        ("zipapp", "rpw-fixture.pyz", ":worker"),
        ("leak", "rpw-fixture", ":leaky"),
        ("runfiles", "rpw-fixture", ":split"),
    ]
]

rpw_check_test(
    name = "suite",
    arguments = ["--select", "RPW202", "--pause=0"],
    data = glob(["src/*.txt"]) + ["worker.sh"],
    suite = "suite.toml",
)

program(name = "client", src = "client.sh")

rpw_server(
    name = "client_with_server",
    arguments = ["--max-workers=3"],
    test = ":client",
)
"""
#: sh_binary, without the repositories that it loads from the network.
PROGRAM = """
def _program_impl(ctx):
    link = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = link, target_file = ctx.file.src, is_executable = True)
    runfiles = ctx.runfiles(files = [ctx.file.src] + ctx.files.data)
    return [DefaultInfo(executable = link, runfiles = runfiles)]

program = rule(
    implementation = _program_impl,
    executable = True,
    attrs = {"src": attr.label(allow_single_file = True), "data": attr.label_list(allow_files = True)},
)
"""
#: A worker that needs its runfiles.
SPLIT = """#!/bin/sh
. "$0.runfiles/__main__/worker/worker.sh"
"""
CLIENT = """#!/bin/sh
# The end of a new HTTP/2 connection of a server begins with its settings.
case $RPW_ENDPOINT in grpc://127.0.0.1:[0-9]*) ;; *) exit 1 ;; esac
exec bash -c 'exec 3<>"/dev/tcp/127.0.0.1/${RPW_ENDPOINT##*:}"'
"""


@pytest.fixture(scope="module")
def workspace(programs: Programs) -> Iterator[BazelWorkspace]:
    with BazelWorkspace(str(require_bazel())) as workspace:
        workspace.write("WORKSPACE", f'local_repository(name = "rpw_fixture", path = "{RULES}")\n')
        shutil.copytree(SHELL_SUITE, workspace.root / "worker")
        worker = (SHELL_SUITE / "worker.sh").read_text()
        leaky = worker.replace("    count=0\n", "    : ${count:=0}\n")
        workspace.write("worker/leaky.sh", leaky, is_executable=True)
        (workspace.root / "worker" / "worker.sh").chmod(0o755)
        workspace.write("worker/split.sh", SPLIT, is_executable=True)
        workspace.write("worker/client.sh", CLIENT, is_executable=True)
        workspace.write("worker/BUILD", BUILD)
        workspace.write("tools/program.bzl", PROGRAM)
        workspace.write("coverage/WORKSPACE", "")
        workspace.write("coverage/BUILD", 'exports_files(["coverage_report_generator"])')
        workspace.write("coverage/coverage_report_generator", "")
        workspace.write("tools/BUILD", 'exports_files(["rpw-fixture", "rpw-fixture.pyz"])\n')
        for program in (programs.file, programs.zipapp):
            shutil.copy(program, workspace.root / "tools")
        yield workspace


@pytest.fixture(scope="module")
def tested(workspace: BazelWorkspace) -> BazelResult:
    # python3 of the zipapp: one for which it has extension modules.
    path = f"{Path(sys.executable).resolve().parent}:/usr/bin:/bin"
    flags = (*flags_of(workspace), f"--test_env=PATH={path}")
    return workspace.test("//worker:all", flags=flags, check=False)


def flags_of(workspace: BazelWorkspace) -> tuple[str, ...]:
    # Every test depends on these tools, which Bazel would download.
    return (*FLAGS, f"--override_repository=remote_coverage_tools={workspace.root}/coverage")


def test_tests_pass_and_fail_as_their_workers_deserve(tested: BazelResult) -> None:
    lines = [each.split() for each in tested.stdout.splitlines() + tested.stderr.splitlines()]
    results = {
        each[0].partition(":")[2]: each[1]
        for each in lines
        if each and each[0].startswith("//worker:")
    }
    passed = dict.fromkeys(("file", "zipapp", "runfiles", "suite", "client_with_server"), "PASSED")
    assert results == {**passed, "leak": "FAILED"}, tested.stdout + tested.stderr


@pytest.mark.parametrize(("name", "failures"), [("file", 0), ("zipapp", 0), ("leak", 1)])
def test_bazel_gets_the_report_of_the_check(
    tested: BazelResult, workspace: BazelWorkspace, name: str, failures: int
) -> None:
    logs = workspace.root / "bazel-testlogs" / "worker" / name
    report = ET.parse(logs / "test.xml")
    cases = {
        each.get("name", "") + each.get("classname", ""): each for each in report.iter("testcase")
    }
    assert any("RPW202" in each for each in cases)
    assert len(list(report.iter("failure"))) == failures
    assert ("RPW202" in (logs / "test.log").read_text()) == bool(failures)


def test_without_a_program_the_fix_is_named(workspace: BazelWorkspace, tested: BazelResult) -> None:
    done = workspace.test(
        "//worker:suite",
        flags=(*flags_of(workspace), "--@rpw_fixture//:program=@rpw_fixture//:no_program"),
        check=False,
    )
    assert done.exit_code
    assert "build --@rpw_fixture//:program=//PACKAGE:rpw-fixture" in done.stderr


def test_wrong_use_is_named(workspace: BazelWorkspace, tested: BazelResult) -> None:
    workspace.write(
        "wrong/BUILD",
        'load("@rpw_fixture//:defs.bzl", "rpw_check_test")\nrpw_check_test(name = "a")\n',
    )
    done = workspace.test("//wrong:a", flags=flags_of(workspace), check=False)
    assert "a: rpw_check_test needs one of suite and actions" in done.stderr


def test_the_module_has_the_version_of_the_package() -> None:
    assert f'version = "{rpw_fixture.__version__}"' in (RULES / "MODULE.bazel").read_text()
