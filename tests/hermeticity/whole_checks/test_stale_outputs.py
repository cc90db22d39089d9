"""Outputs that are there before the request (RPW211)."""

import json
from pathlib import Path

import pytest

from tests.hermeticity.samples import codes, run, stage
from tests.hermeticity.whole_checks.test_survivors import state_of

TOOL = """import os, shutil, sys
sys.dont_write_bytecode = True
import rpw_worker


def handle(request):
    source, target = request.expanded_arguments()
    {begin}
    os.makedirs(target, exist_ok=True)
    for name in ("one", "two"):
        path = os.path.join(target, name)
        if {condition}:
            with open(path, "wb") as file:
                file.write(name.encode() + rpw_worker.read_file(request, source))
    return rpw_worker.WorkResponse()


sys.exit(rpw_worker.main(handle))
"""


def folders(folder: Path, begin: str = "pass", condition: str = "True") -> Path:
    """Return a suite whose actions declare an output folder each."""
    suite = stage(folder / "suite", "good.py", headers=[])
    tool = suite.parent / "tools" / "good.py"
    tool.write_text(TOOL.format(begin=begin, condition=condition))
    lines = []
    for name in ("a", "b"):
        (suite.parent / "src" / name).write_text(f"text of {name}\n")
        lines += ["[[action]]", f'name = "{name}"', f'inputs = ["src/{name}"]']
        lines.append(f"arguments = {json.dumps([f'src/{name}', f'out/{name}'])}")
        lines.append(f'outputs = ["out/{name}"]')
    suite.write_text(suite.read_text() + "\n".join(lines) + "\n")
    return suite


def test_an_output_that_looks_sound_is_not_kept(tmp_path: Path) -> None:
    report = run(stage(tmp_path / "suite", "keeps_sound_output.py"), "RPW202,RPW203,RPW211")
    assert codes(report) == {"RPW211"}
    assert "an output of another action" in report.findings[0].summary


@pytest.mark.parametrize(
    ("condition", "begin"),
    [
        ("not os.path.exists(path)", "pass"),
        ("True", "if os.path.exists(target): return rpw_worker.WorkResponse()"),
    ],
)
def test_what_is_in_an_output_folder_is_not_kept(
    tmp_path: Path, condition: str, begin: str
) -> None:
    report = run(folders(tmp_path, begin, condition), "RPW202,RPW211")
    assert {(each.code, str(each.severity)) for each in report.findings} == {("RPW211", "error")}


def test_another_file_in_an_output_folder_is_a_warning(tmp_path: Path) -> None:
    report = run(folders(tmp_path), "RPW211")
    assert {(each.code, str(each.severity)) for each in report.findings} == {("RPW211", "warning")}
    assert "a file that is in an output folder" in report.findings[0].summary


def test_a_tool_that_empties_its_output_folder_is_clean(tmp_path: Path) -> None:
    report = run(folders(tmp_path, "shutil.rmtree(target, ignore_errors=True)"), "RPW211")
    assert report.findings == ()
    assert state_of(report, "RPW211")[0] == "passed"
