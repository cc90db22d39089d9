"""Suites around the sample workers, staged in a folder of a test's own."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.codes import CODES
from rpw_fixture.hermeticity.findings import Report
from rpw_fixture.hermeticity.suite import load

SAMPLES = Path(__file__).resolve().parents[2] / "sample_workers"
PROTOCOL = "RPW101,RPW102,RPW103,RPW104,RPW105"


def source(script: str) -> Path:
    broken = SAMPLES / "broken" / script
    return broken if broken.exists() else SAMPLES / "python" / script


def stage(
    folder: Path,
    script: str,
    *arguments: str,
    worker: str = "",
    headers: Sequence[str] = ("alpha", "beta"),
    shared: Sequence[str] = (),
    with_failure: bool = False,
) -> Path:
    """A suite of one action for each header, named by it; ``worker`` is more TOML for [worker]."""
    (folder / "tools").mkdir(parents=True)
    (folder / "src").mkdir()
    listed = re.search(r"Files: (.+)$", source(script).read_text(), re.MULTILINE)
    assert listed, f"{script} does not say which files it needs"
    for name in listed[1].split(", "):
        shutil.copy(source(name), folder / "tools" / name)
    for name in shared:
        (folder / name).write_text("plain\n")
    command = json.dumps(["python3", f"tools/{script}", *arguments])
    lines = ["[worker]", f"command = {command}", 'tool_inputs = ["tools/**"]', worker]
    for header in headers:
        (folder / "src" / f"{header}.txt").write_text(f"text of {header}\n")
        lines += action(header, shared=shared)
    if with_failure:
        lines += action("failing", headers[0], "--fail", "this is wrong", shared=shared)
        lines.append("exit_code = 1")
    suite = folder / "suite.toml"
    suite.write_text("\n".join(lines) + "\n")
    return suite


def action(name: str, input_name: str = "", *more: str, shared: Sequence[str] = ()) -> list[str]:
    source_path, output = f"src/{input_name or name}.txt", f"out/{name}.txt"
    arguments = ["--in", source_path, "--out", output, "--header", name, *more]
    return [
        "[[action]]",
        f"name = {json.dumps(name)}",
        f"arguments = {json.dumps(arguments)}",
        f"inputs = {json.dumps([source_path, *shared])}",
        f"outputs = {json.dumps([output])}",
    ]


def run(suite: Path, select: str = "", seed: int = 0) -> Report:
    selected = frozenset(select.split(",")) if select else frozenset(CODES)
    return check(load(suite), Options(selected=selected, jobs=2, seed=seed))


def codes(report: Report) -> set[str]:
    return {each.code for each in report.findings}
