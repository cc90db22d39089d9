"""A Bazel workspace of many actions that do next to nothing, and builds of it on the clock."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from tests.interop.bazel import BazelWorkspace

from .workload import TRIVIAL_WORKER

_RULES = """
def _trivial_impl(ctx):
    output = ctx.actions.declare_file(ctx.label.name + ".txt")
    arguments = ctx.actions.args()
    arguments.use_param_file("@%s", use_always = True)
    arguments.set_param_file_format("multiline")
    arguments.add(ctx.file.src)
    arguments.add(output)
    ctx.actions.run(
        executable = ctx.executable.tool,
        tools = ctx.files.tool_files,
        inputs = [ctx.file.src],
        outputs = [output],
        arguments = [arguments],
        mnemonic = "RpwTrivial",
        execution_requirements = {"supports-workers": "1"},
    )
    return [DefaultInfo(files = depset([output]))]

trivial = rule(
    implementation = _trivial_impl,
    attrs = {
        "src": attr.label(allow_single_file = True),
        "tool": attr.label(executable = True, cfg = "exec", allow_files = True),
        "tool_files": attr.label_list(cfg = "exec", allow_files = True),
    },
)
"""
_BUILD = """
load("//:trivial.bzl", "trivial")

[
    trivial(
        name = "result%d" % number,
        src = "source.txt",
        exec_properties = {{"persistentWorkerKey": "{package}"}},
        tool = "tool",
        tool_files = ["worker.py"],
    )
    for number in range({count})
]
"""
_LAUNCHER = f'#!/bin/sh\nexec {sys.executable} -S -E "${{0%/*}}/worker.py" "$@"\n'


class TimedWorkspace(BazelWorkspace):
    """The interop tests' workspace with packages of trivial actions in addition."""

    _edits = 0

    def lay_out_package(self, name: str, count: int, *, start: str = "") -> None:
        """A package of ``count`` actions; code in ``start`` is the first that its worker runs."""
        folder = self.root / name
        folder.mkdir()
        (self.root / "trivial.bzl").write_text(_RULES)
        (folder / "BUILD.bazel").write_text(_BUILD.format(package=name, count=count))
        worker = TRIVIAL_WORKER.read_text().replace("import sys\n", f"import sys\n{start}", 1)
        (folder / "worker.py").write_text(worker)
        (folder / "tool").write_text(_LAUNCHER)
        (folder / "tool").chmod(0o755)

    def edit(self, package: str, *, tool: bool = False) -> None:
        """Changes the source that all actions share, and the tool, which makes its workers stale."""
        self._edits += 1
        (self.root / package / "source.txt").write_text(f"edit {self._edits}\n")
        if tool:
            # Bazel's own workers restart for the executable alone, not for the files beside it.
            with (self.root / package / "tool").open("a", encoding="utf-8") as file:
                file.write(f"# edit {self._edits}\n")

    def seconds(self, package: str, flags: Sequence[str], *, where: str) -> float:
        """How long a build takes, which must run its actions ``where``: ``remote`` or ``worker``.

        Unlike `build` it has Bazel write no log of its calls, which costs.
        """
        begin = time.perf_counter()
        done = self._run("build", "--color=no", "--curses=no", *flags, f"//{package}:all")
        taken = time.perf_counter() - begin
        assert done.returncode == 0, done.stderr
        assert f" {where}" in done.stderr.partition(" process")[2], done.stderr
        return taken
