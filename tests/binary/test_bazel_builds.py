"""Real Bazel with the single file: `run` around a build, and a build outside of a bare machine's server."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.requirements import require_bazel
from tests.server_process import ServerProcess

from .programs import PATIENCE, SHELL_SUITE, Programs, run
from .test_bare_machine import engine, inside

__all__ = ["engine", "inside"]

_RULES = """
def _numbered_impl(ctx):
    output = ctx.actions.declare_file(ctx.label.name + ".numbered")
    arguments = ctx.actions.args()
    arguments.use_param_file("@%s", use_always = True)
    arguments.set_param_file_format("multiline")
    arguments.add("--in", ctx.file.src)
    arguments.add("--out", output)
    ctx.actions.run(
        executable = ctx.executable._worker,
        inputs = [ctx.file.src],
        outputs = [output],
        arguments = [arguments],
        mnemonic = "Number",
        execution_requirements = {"requires-worker-protocol": "json", "supports-workers": "1"},
    )
    return [DefaultInfo(files = depset([output]))]

numbered = rule(
    implementation = _numbered_impl,
    attrs = {
        "src": attr.label(allow_single_file = True),
        "_worker": attr.label(
            default = "//tools:worker.sh", executable = True, cfg = "exec", allow_single_file = True
        ),
    },
)
"""
_BUILD = """
load("//:rules.bzl", "numbered")

[
    numbered(
        name = name,
        src = "src/%s.txt" % name,
        exec_properties = {"persistentWorkerKey": "shell", "persistentWorkerProtocol": "json"},
    )
    for name in ["first", "second"]
]
"""
SERVE = ("--tool-input", "tools/**", "--max-workers-per-key", "1")


class NumberWorkspace:
    """A workspace whose worker is a shell script, and the startup options of its Bazel."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "workspace"
        shutil.copytree(SHELL_SUITE, self.root)
        tools = self.root / "tools"
        tools.mkdir()
        (self.root / "worker.sh").rename(tools / "worker.sh").chmod(0o755)
        (tools / "BUILD").write_text('exports_files(["worker.sh"])\n')
        (self.root / "WORKSPACE").touch()
        (self.root / "rules.bzl").write_text(_RULES)
        (self.root / "BUILD").write_text(_BUILD)
        output = [f"--output_user_root={folder / 'user'}", f"--output_base={folder / 'base'}"]
        self.startup = [*output, "--max_idle_secs=60", "--nohome_rc"]

    def bazel(self, *arguments: str) -> None:
        done = subprocess.run(
            [str(require_bazel()), *self.startup, *arguments],
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    @property
    def built(self) -> str:
        """What the build has made of the second file."""
        return (self.root / "bazel-bin/second.numbered").read_text()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NumberWorkspace]:
    require_bazel()
    workspace = NumberWorkspace(tmp_path_factory.mktemp("number"))
    try:
        yield workspace
    finally:
        workspace.bazel("shutdown")


def test_run_around_a_build(workspace: NumberWorkspace, programs: Programs, tmp_path: Path) -> None:
    workspace.bazel("clean")
    expect = ["--expect", "reused@Number", "--expect", "no-one-shot"]
    command = [*programs.command("file"), "run", *SERVE, *expect, "--", "bazel"]
    done = run(
        [*command, *workspace.startup, "build", "//..."], workspace.root, programs.environment()
    )
    assert "2 actions: 2 on workers (1 reused" in done.stderr
    assert workspace.built == "  1  three\n"


def test_a_build_outside_of_a_server_where_there_is_nothing(
    workspace: NumberWorkspace, inside: list[str], tmp_path: Path
) -> None:
    workspace.bazel("clean")
    serve = [*inside, "serve", "--listen", "127.0.0.1:0", *SERVE, "--summary"]
    log = tmp_path / "log"
    with log.open("wb") as stderr, ServerProcess(command=serve, stderr=stderr) as server:
        remote = [f"--remote_executor={server.endpoint}", "--spawn_strategy=remote"]
        workspace.bazel("build", *remote, "//...")
    assert "2 actions: 2 on workers (1 reused" in log.read_text()
    assert workspace.built == "  1  three\n"
