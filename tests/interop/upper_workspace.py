"""A small Bazel workspace with one worker rule, for tests and transcripts of the command line."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "sample_workers" / "python"
NAMES = ("api", "core", "io", "log", "net", "ui")
#: What Bazel before 6 needs, so that actions ask for a worker.
KEYS = '{"persistentWorkerKey": "upper"}'
_RULES = """
def _upper_impl(ctx):
    output = ctx.actions.declare_file(ctx.label.name + ".txt")
    arguments = ctx.actions.args()
    arguments.use_param_file("@%s", use_always = True)
    arguments.set_param_file_format("multiline")
    arguments.add("--in", ctx.file.src)
    arguments.add("--out", output)
    ctx.actions.run(
        executable = ctx.executable._tool,
        tools = ctx.files._files,
        inputs = [ctx.file.src],
        outputs = [output],
        arguments = [arguments],
        mnemonic = "Upper",
        execution_requirements = {"supports-workers": "1"},
    )
    return [DefaultInfo(files = depset([output]))]

upper = rule(
    implementation = _upper_impl,
    attrs = {
        "src": attr.label(allow_single_file = True),
        "_tool": attr.label(
            default = "//tools:upper", executable = True, cfg = "host", allow_single_file = True
        ),
        "_files": attr.label_list(
            allow_files = True, default = ["//tools:good.py", "//tools:rpw_worker.py"],
        ),
    },
)
"""
_TOOL = '#!/bin/sh\nexec python3 "$(dirname "$0")/good.py" "$@"\n'


class UpperWorkspace:
    """The workspace and the Bazel server that serves it.

    Args:
        folder: made; holds the workspace, and what Bazel needs besides.
        bazel: the program.

    Attributes:
        root: the workspace; the current folder of a build.
        startup: Bazel's startup options, which keep its files in ``folder``.
    """

    def __init__(self, folder: Path, bazel: Path) -> None:
        self.root = folder / "workspace"
        self._bazel = bazel
        self.startup = [
            f"--output_user_root={folder / 'user'}",
            f"--output_base={folder / 'base'}",
            "--max_idle_secs=60",
            "--nohome_rc",
        ]
        self.root.mkdir(parents=True)
        (self.root / "WORKSPACE").touch()
        (self.root / "rules.bzl").write_text(_RULES)
        tools = self.root / "tools"
        tools.mkdir()
        (tools / "BUILD").write_text('exports_files(["upper", "good.py", "rpw_worker.py"])\n')
        (tools / "upper").write_text(_TOOL)
        (tools / "upper").chmod(0o755)
        for name in ("good.py", "rpw_worker.py"):
            shutil.copy(SAMPLES / name, tools / name)
        for name in NAMES:
            (self.root / f"{name}.in").write_text(f"{name}\n")
        self.set_properties(KEYS)

    def set_properties(self, properties: str) -> None:
        """Set the exec_properties of all targets, as Starlark."""
        (self.root / "BUILD").write_text(
            'load("//:rules.bzl", "upper")\n'
            f'[upper(name = name, src = name + ".in", exec_properties = {properties})\n'
            f" for name in {list(NAMES)!r}]\n"
        )

    def forget(self) -> None:
        """Have Bazel forget what it has built."""
        self._run("clean")

    def close(self) -> None:
        """End Bazel's server."""
        self._run("shutdown")

    def _run(self, command: str) -> None:
        subprocess.run(
            [str(self._bazel), *self.startup, command],
            cwd=self.root,
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
