"""Locating the state of small workers: a suite of two actions, and the finding about the second one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from rpw_fixture.hermeticity.carriers import locating
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.facts import COLD_RESULTS, ColdResults
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.hermeticity.trials.harness import Harness
from rpw_fixture.hermeticity.trials.trial import steps
from tests.hermeticity.samples import SAMPLES

SUITE = """\
[worker]
command = [{command}]
tool_inputs = ["tools/**"]
{more}
[[action]]
name = "hello"
arguments = ["hello", "out/hello.txt"]
outputs = ["out/hello.txt"]
[[action]]
name = "bye"
arguments = ["bye", "out/bye.txt"]
outputs = ["out/bye.txt"]
"""


def write_suite(
    folder: Path,
    files: Mapping[str, str],
    command: str = '"python3", "tools/worker.py"',
    more: str = "",
) -> Path:
    tools = folder / "tools"
    tools.mkdir(parents=True)
    shutil.copy(SAMPLES / "python" / "rpw_worker.py", tools)
    for name, content in files.items():
        (tools / name).write_text(content)
    suite = folder / "suite.toml"
    suite.write_text(SUITE.format(command=command, more=more))
    return suite


def locate(
    suite_file: Path,
    names: tuple[str, ...] = ("hello", "bye"),
    code: str = "RPW202",
    finding_of: Callable[[CheckContext], Finding] | None = None,
) -> Finding:
    """Return a finding, located: that the last of these requests to one worker has a wrong result."""
    suite = load(suite_file)
    with Harness(suite) as harness:
        context = CheckContext(suite=suite, harness=harness)
        context.facts.share(COLD_RESULTS, ColdResults(usable=suite.actions))
        finding = Finding(
            code=code,
            victim=names[-1],
            polluters=names[:-1],
            summary="it is wrong",
            history=steps(*(suite.action(each) for each in names)),
        )
        wanted = finding_of(context) if finding_of else finding
        located = locating.locate(context, wanted, locating.EarlierSearches())
        # Besides, there are a cold run and one that shows the runtime.
        assert harness.book.worker_starts <= locating.MOST_STARTS + 2
        return located
