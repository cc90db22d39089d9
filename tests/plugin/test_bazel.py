"""The fixture `rpw_bazel`: real builds, whose workers are asserted like any others."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.plugin.bazel_workspace import BazelFailedError, BazelWorkspace, find_bazel

Suite = Callable[[str], None]

needs_bazel = pytest.mark.skipif(
    shutil.which("bazel") is None and shutil.which("bazelisk") is None,
    reason="neither bazel nor bazelisk is on PATH (Debian: apt-get install bazel-bootstrap)",
)

RULES = '''
RULES = """
def _impl(ctx):
    output = ctx.actions.declare_file(ctx.label.name + ".txt")
    arguments = ctx.actions.args()
    arguments.use_param_file("@%s", use_always = True)
    arguments.set_param_file_format("multiline")
    arguments.add("--in", ctx.file.src)
    arguments.add("--out", output)
    ctx.actions.run(
        executable = ctx.executable.tool, tools = ctx.files.tool_files, inputs = [ctx.file.src],
        outputs = [output], arguments = [arguments], mnemonic = "Upper",
        execution_requirements = {"supports-workers": "1", "requires-worker-protocol": "proto"},
    )
    return [DefaultInfo(files = depset([output]))]

upper = rule(implementation = _impl, attrs = {
    "src": attr.label(allow_single_file = True),
    "tool": attr.label(executable = True, cfg = "exec", allow_files = True),
    "tool_files": attr.label_list(cfg = "exec", allow_files = True),
})
"""
BUILD = """
load(":rules.bzl", "upper")
[upper(name = n, src = n + ".in", tool = "tools/good", tool_files = glob(["tools/*.py"]),
       exec_properties = {"persistentWorkerKey": "upper"}) for n in ["a", "b"]]
"""

def lay_out(workspace):
    workspace.write("rules.bzl", RULES)
    workspace.write("BUILD.bazel", BUILD)
    workspace.write("a.in", "one\\n")
    workspace.write("b.in", "two\\n")
    for name in ("good.py", "rpw_worker.py"):
        workspace.write(f"tools/{name}", (WORKERS / name).read_bytes())
    workspace.write("tools/good", f'#!/bin/sh\\nexec {sys.executable} -B "${{0%/*}}/good.py" "$@"\\n',
                    is_executable=True)

pytestmark = pytest.mark.rpw(tool_inputs=["tools/**"], max_workers_per_key=1)
'''


@needs_bazel
def test_builds_run_on_the_server_and_their_workers_can_be_asserted(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    suite(
        RULES
        + """
def test_reuse(rpw_bazel, rpw_server):
    lay_out(rpw_bazel)
    rpw_bazel.build()
    assert (rpw_bazel.bin / "a.txt").read_text().startswith("ONE\\n")
    upper = rpw_server.actions.with_mnemonic("Upper")
    rpw_server.assert_worker_reused(upper)
    rpw_server.assert_tool_inputs(upper[0], ["tools/*"])

def test_restart(rpw_bazel, rpw_server):
    assert sorted(path.name for path in rpw_bazel.root.iterdir()) == ["MODULE.bazel", "WORKSPACE"]
    lay_out(rpw_bazel)
    rpw_bazel.build("//:a")
    mark = rpw_server.mark()
    with (rpw_bazel.root / "tools/rpw_worker.py").open("a") as file:
        file.write("# edited\\n")
    rpw_bazel.build("//:a")
    before, after = rpw_server.actions.with_mnemonic("Upper")
    rpw_server.assert_worker_restarted(before, after, because="tools/rpw_worker.py")
    assert len(rpw_server.actions.since(mark)) == 1

def test_failure(rpw_bazel):
    lay_out(rpw_bazel)
    rpw_bazel.write("a.in", b"\\xff")
    assert rpw_bazel.build("//:a", check=False).exit_code == 1
    rpw_bazel.build("//:a")
"""
    )
    result = pytester.runpytest_inprocess("-p", "no:randomly")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*rpw_bazel.build(?//:a?)",
            "E*BazelFailedError: bazel build *: exit code 1",
            "*- rpw timeline -*",
            "*- rpw bazel -*",
            "$ bazel build *",
            "*a.in: no UTF-8 text",
        ]
    )
    # Its actions ran on a worker, so that there is nothing to advise.
    result.stdout.no_fnmatch_line("This Bazel*mark*tool inputs*")


@needs_bazel
def test_after_one_shot_runs_the_report_says_what_workers_need(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    suite(
        """
def test_failure(rpw_bazel):
    rpw_bazel.write("BUILD.bazel", 'genrule(name = "a", outs = ["b"], cmd = "exit 4")')
    rpw_bazel.build()
"""
    )
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E*This Bazel*mark*tool inputs*", "*- rpw bazel -*", "This Bazel*"]
    )


def test_without_bazel_the_test_is_skipped_with_the_reason(
    suite: Suite, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite("def test_it(rpw_bazel): pass")
    monkeypatch.setenv("BAZEL", "/does/not/exist")
    result = pytester.runpytest_inprocess("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*needs Bazel: /does/not/exist is not on PATH*"])


def test_the_variable_comes_before_the_path(tmp_path: Path) -> None:
    for name in ("bazelisk", "mine"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    path = {"PATH": str(tmp_path)}
    assert find_bazel(path) == str(tmp_path / "bazelisk")
    assert find_bazel({**path, "BAZEL": str(tmp_path / "mine")}) == str(tmp_path / "mine")
    bit = {**path, "BIT_BAZEL_BINARY": str(tmp_path / "mine")}
    assert find_bazel(bit) == str(tmp_path / "mine")
    with pytest.raises(EnvironmentLacksError, match="bazel or bazelisk is not on PATH"):
        find_bazel({"PATH": ""})


@pytest.mark.parametrize(
    ("version", "marks"),
    [("bazel 5.4.1", False), ("bazel 6.0.0", True), ("bazel 10.1.0-pre", True)],
)
def test_the_version_decides_whether_tool_inputs_are_marked(
    tmp_path: Path, version: str, marks: bool
) -> None:
    program = tmp_path / "bazel"
    program.write_text(
        f'#!/bin/sh\nfor a; do test "$a" = --version && echo {version}; done\necho "$@" >>{tmp_path}/log\n'
    )
    program.chmod(0o755)
    with BazelWorkspace(str(program)) as workspace:
        assert workspace.marks_tool_inputs is marks
        assert ("does not mark" in workspace.advice) is not marks
        workspace.reset(["--remote_executor=x"])
        workspace.build("//a", flags=["--jobs=1"])
        workspace.test()
    build, test = (tmp_path / "log").read_text().splitlines()[2:]
    assert ("--experimental_remote_mark_tool_inputs" in build) is marks
    assert "--remote_executor=x" in build
    assert build.endswith("--jobs=1 -- //a")
    assert test.endswith("--test_output=errors -- //...")


def test_a_build_that_fails_raises_unless_check_is_off(tmp_path: Path) -> None:
    program = tmp_path / "bazel"
    program.write_text("#!/bin/sh\necho bazel 7.0.0\necho broken >&2\nexit 3\n")
    program.chmod(0o755)
    with BazelWorkspace(str(program)) as workspace:
        with pytest.raises(BazelFailedError, match="exit code 3\nbroken") as failure:
            workspace.build()
        assert workspace.build(check=False).exit_code == failure.value.result.exit_code == 3


def test_the_workspace_of_rules_bazel_integration_test_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As runfiles are: links to files elsewhere, and the program at a relative path."""
    runfiles, source = tmp_path / "runfiles", tmp_path / "source"
    for folder in (runfiles, source):
        folder.mkdir()
    (source / "WORKSPACE").write_text("workspace(name = 'theirs')")
    (runfiles / "WORKSPACE").symlink_to(source / "WORKSPACE")
    program = tmp_path / "bazel"
    program.write_text("#!/bin/sh\npwd\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BIT_BAZEL_BINARY", "./bazel")
    monkeypatch.setenv("BIT_WORKSPACE_DIR", "runfiles")
    with BazelWorkspace(find_bazel()) as workspace:
        assert (workspace.root / "WORKSPACE").read_text() == "workspace(name = 'theirs')"
        assert not (workspace.root / "WORKSPACE").is_symlink()
        assert workspace.run("info").stdout.strip() == str(workspace.root)
        (workspace.root / "WORKSPACE").write_text("edited")
        workspace.reset()
        assert (workspace.root / "WORKSPACE").read_text() == "workspace(name = 'theirs')"
        monkeypatch.setenv("BIT_WORKSPACE_DIR", "nowhere")
        with pytest.raises(EnvironmentLacksError, match="there is no folder nowhere"):
            workspace.reset()
