"""Inputs that changed in a way that a worker takes for no change (RPW203)."""

import hashlib
import json
from pathlib import Path

import pytest

from rpw_fixture.client.inputs import File
from rpw_fixture.hermeticity.checks.input_changes import shadowed, with_equal_prefix
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.support.memory_limit import is_in_memory
from rpw_fixture.support.workspace import Workspace
from tests.hermeticity.samples import codes, run, stage
from tests.hermeticity.whole_checks.test_survivors import CACHE, edited

STATE = "RPW109,RPW202,RPW203,RPW204,RPW212"
TEXTS = {
    "inode": "its inode is the same",
    "prefix": "begins with the same 8 digits",
    "absence": "there again",
}


@pytest.mark.parametrize("kind", TEXTS)
def test_each_way_to_misread_a_change_is_found_as_such(tmp_path: Path, kind: str) -> None:
    suite = stage(tmp_path / "suite", "misreads_changes.py", f"--by={kind}")
    report = run(suite, STATE)
    assert report.has_errors
    summaries = [each.summary for each in report.findings if each.code == "RPW203"]
    if kind == "inode" and not is_on_ram_disk():
        # A disk may give a removed file's inode to a new one at any time, also to one of another action.
        assert summaries
        assert codes(report) <= {"RPW202", "RPW203"}
    else:
        assert codes(report) == {"RPW203"}
        assert any(TEXTS[kind] in each for each in summaries)
    assert "RPW203" in codes(run(suite, "RPW203"))


def is_on_ram_disk() -> bool:
    """Return whether the trials run on a file system that never gives an inode to a second file."""
    with Workspace() as workspace:
        return is_in_memory(workspace.path)


def searching(folder: Path, *arguments: str) -> Path:
    """Return a suite whose only action searches its input in two folders."""
    suite = stage(folder / "suite", "misreads_changes.py", *arguments, headers=[])
    (suite.parent / "lib" / "own").mkdir(parents=True)
    (suite.parent / "lib" / "own" / "a.txt").write_text("text\n")
    words = ["--in", "a.txt", "--out", "out/a.txt", "--header", "lib/first:lib/own"]
    lines = [
        "[[action]]",
        'name = "searching"',
        f"arguments = {json.dumps(words)}",
        'inputs = ["lib/own/a.txt"]',
        'outputs = ["out/a.txt"]',
    ]
    suite.write_text(suite.read_text() + "\n".join(lines) + "\n")
    return suite


def test_a_file_that_shadows_an_input_is_not_overlooked(tmp_path: Path) -> None:
    report = run(searching(tmp_path, "--by=place"), STATE)
    (finding,) = report.findings
    assert finding.code == "RPW203"
    assert "shadow its inputs (lib/first/a.txt)" in finding.summary


def test_a_worker_that_searches_anew_is_clean(tmp_path: Path) -> None:
    suite = searching(tmp_path, "--by=place")
    tool = suite.parent / "tools" / "misreads_changes.py"
    text = tool.read_text()
    tool.write_text(text.replace("if path not in places:", "if path:"))
    assert run(suite, STATE).findings == ()


def test_an_optional_input_that_was_missing_once_is_found(tmp_path: Path) -> None:
    suite = edited(tmp_path, (CACHE, "_absent = set()\n"))
    tool = suite.parent / "tools" / "good.py"
    text = tool.read_text()
    read = "    content = rpw_worker.read_file(request, path)\n"
    assert text.count(read) == 1
    optional = (
        "    os.path.exists(path) or _absent.add(path)\n"
        "    if path in _absent:\n        return 'nothing'\n"
    )
    tool.write_text(text.replace(read, optional + read))
    report = run(suite, STATE)
    assert codes(report) == {"RPW203"}


def test_two_contents_have_digests_with_the_same_beginning() -> None:
    found = with_equal_prefix(b"one\n", b"two\n") or with_equal_prefix(b"one\n", b"six\n")
    assert found is not None
    one, other = (hashlib.sha256(each).hexdigest() for each in found)
    assert one[:8] == other[:8]
    assert one != other
    assert found[0].split() == [b"one"]


@pytest.mark.parametrize(
    ("arguments", "added"),
    [
        (["-Iinc", "-Ilib", "x.h"], {"inc/a.h"}),
        (["-Ilib", "-Iinc", "x.h"], set()),
        (["-I", "inc", "-I", "lib"], {"inc/a.h"}),
        (["--path=inc", "--path=lib", "--out=dir"], {"inc/a.h"}),
        (["--path=inc:lib"], {"inc/a.h"}),
        (["inc", "-I", "lib"], set()),
        (["-Iout", "-Ilib"], set()),
        (["-I/usr/include", "-Ilib"], set()),
        (["lib/a.h"], set()),
    ],
)
def test_folders_that_are_searched_before_get_a_file(arguments: list[str], added: set[str]) -> None:
    action = SuiteAction(
        name="a",
        arguments=tuple(arguments),
        inputs={"lib/a.h": File(b"text"), "main.c": File(b"main")},
        outputs=("out/a.o",),
    )
    changed = shadowed(action)
    assert ({*changed.inputs} - {*action.inputs} if changed else set()) == added
