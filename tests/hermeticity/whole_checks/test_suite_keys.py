"""Keys of the suite that say how the tool is called: flagfiles, one-shot runs, folders, readable paths."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.check import Options, check, check_all
from rpw_fixture.hermeticity.findings.report import Status
from rpw_fixture.hermeticity.suites.suite_file import load, load_all
from tests.hermeticity.samples import source

#: A tool that gets its arguments in one form only: the text around the flagfile's path, or "lines".
TOOL = """
import os, sys
sys.dont_write_bytecode = True
import rpw_worker

FORM = {form!r}

def lines(argument):
    before, _, after = FORM.partition("{{}}")
    assert argument.startswith(before) and argument.endswith(after), argument
    with open(argument[len(before):len(argument) - len(after)]) as file:
        return file.read().splitlines()

def handle(request):
    arguments = request.arguments
    if FORM != "@{{}}":
        assert len(arguments) == 1, arguments
        arguments = lines(arguments[0])
    return run(arguments)

def run(arguments):
    given, made = arguments
    with open(given) as file, open(made, "w") as output:
        output.write(file.read() + os.path.basename(os.getcwd()) * (len(sys.argv) > 9))
    {more}
    return rpw_worker.WorkResponse()

if "--persistent_worker" in sys.argv:
    sys.exit(rpw_worker.main(handle))
{one_shot}
run(lines(sys.argv[-1]))
"""


def suite(
    folder: Path,
    *,
    form: str = "@{}",
    one_shot: str = "",
    more: str = "",
    keys: str = "",
    action: str = "",
) -> Path:
    (folder / "tools").mkdir(parents=True)
    (folder / "pkg").mkdir()
    (folder / "tools" / "tool.py").write_text(TOOL.format(form=form, one_shot=one_shot, more=more))
    (folder / "tools" / "rpw_worker.py").write_bytes(source("rpw_worker.py").read_bytes())
    lines = ["[worker]", f"tool_inputs = {json.dumps(['tools/**'])}", keys]
    lines.append(f"command = {json.dumps(['python3', 'tools/tool.py'])}")
    for name in ("a", "b"):
        (folder / "pkg" / f"{name}.txt").write_text(f"{name}\n")
        lines += [
            "[[action]]",
            f'name = "{name}"',
            f'arguments = ["pkg/{name}.txt", "pkg/{name}.out"]',
        ]
        lines += [f'inputs = ["pkg/{name}.txt"]', f'outputs = ["pkg/{name}.out"]', action]
    path = folder / "suite.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("form", ["@{}", "@@{}", "--flagfile={}", "{}"])
def test_the_tool_gets_its_flagfile_as_the_suite_says(form: str, tmp_path: Path) -> None:
    path = suite(tmp_path / "s", form=form, keys=f"flagfile = {json.dumps(form)}")
    selected = frozenset(("RPW108", "RPW202", "RPW205", "RPW103"))
    report = check(load(path), Options(selected=selected))
    assert report.findings == ()
    assert {each.status for each in report.checks} == {Status.PASSED}


def test_another_form_than_the_suite_says_is_noticed(tmp_path: Path) -> None:
    path = suite(tmp_path / "s", form="@@{}", keys='flagfile = "--flagfile={}"')
    with pytest.raises(ConfigError, match=r"AssertionError: --flagfile=a\.params"):
        check(load(path), Options(selected=frozenset(("RPW108", "RPW103"))))


def test_a_tool_without_a_one_shot_form_is_never_run_one_shot(tmp_path: Path) -> None:
    marker = tmp_path / "one-shot"
    path = suite(
        tmp_path / "s", one_shot=f"open({str(marker)!r}, 'w'); sys.exit(1)", keys="one_shot = false"
    )
    selected = frozenset(("RPW108", "RPW202", "RPW205", "RPW207"))
    report = check(load(path), Options(selected=selected))
    states = {each.code: each for each in report.checks}
    for code in ("RPW108", "RPW205"):
        assert states[code].status is Status.SKIPPED
        assert states[code].reason == "the suite says one_shot = false"
        assert not states[code].is_applicable
    assert states["RPW202"].status is Status.PASSED
    assert not marker.exists()


def test_readable_folders_are_no_undeclared_reads(tmp_path: Path) -> None:
    modules = tmp_path / "s" / "node_modules"
    read = f"open({str(modules / 'index.js')!r}).close()"
    path = suite(tmp_path / "s", more=read)
    modules.mkdir()
    (modules / "index.js").write_text("x")
    select = Options(selected=frozenset(["RPW207"]))
    found = [each for each in check(load(path), select).findings if each.severity == "error"]
    assert {each.code for each in found} == {"RPW207"}
    path.write_text(path.read_text().replace("[worker]", '[worker]\nreadable = ["node_modules"]'))
    assert [each for each in check(load(path), select).findings if each.severity == "error"] == []


def test_an_action_has_its_own_working_directory(tmp_path: Path) -> None:
    path = suite(tmp_path / "s")
    text = path.read_text().replace("tools/tool.py", str(tmp_path / "s" / "tools" / "tool.py"))
    path.write_text(
        text
        + '[[action]]\nname = "below"\nworking_directory = "pkg"\narguments = ["a.txt", "c.out"]\n'
        'inputs = ["pkg/a.txt"]\noutputs = ["c.out"]\n'
    )
    report = check_all(load_all(path), Options(selected=frozenset(("RPW103", "RPW202", "RPW205"))))
    assert (report.findings, report.actions) == ((), 3)
    assert {each.status for each in report.checks} == {Status.PASSED}


def test_one_action_may_depend_on_several_factors(tmp_path: Path) -> None:
    more = "open(made, 'a').write(os.environ.get('TZ', '') + os.environ.get('USER', ''))"
    path = suite(tmp_path / "s", more=more)
    report = check(load(path), Options(selected=frozenset(["RPW209"])))
    of_a = [each for each in report.findings if each.victim == "a"]
    assert {each.factor for each in of_a} >= {"TZ"}
    assert len({each.factor for each in of_a}) == len(of_a) >= 2
    assert all(each.factor in each.summary for each in of_a)
