"""Writing a finding down as a folder that shows it again: a suite, its inputs, and a pytest test."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.hermeticity.findings import Finding
from rpw_fixture.hermeticity.subject import Suite, SuiteAction, SuiteWorker
from rpw_fixture.inputs import Entry, File, Symlink

_TEST = '''"""Shows {code} again: {summary}."""

import subprocess
import sys
from pathlib import Path


def test_{function}() -> None:
    suite = Path(__file__).with_name("suite.toml")
    command = [sys.executable, "-m", "rpw_fixture", "check", str(suite), "--select", "{code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
'''


def write(finding: Finding, suite: Suite, folder: Path, number: int) -> Finding:
    """Writes the reproducer of a finding; the finding, knowing where it is.

    Args:
        finding: what to show.
        suite: the suite it was found in.
        folder: for all reproducers; made when it is not there.
        number: of the finding.

    Raises:
        EnvironmentLacksError: when that can't be written.
    """
    if not finding.history or suite.worker.working_directory:
        return finding  # a suite has no word for the working directory of a recorded action
    name = "-".join(each for each in (f"{number:02}", finding.code, finding.victim) if each)
    target = folder / re.sub(r"[^\w.+-]", "_", name)
    try:
        _write(finding, suite, target)
    except OSError as error:
        raise EnvironmentLacksError(f"--reproducers {folder}: {error.strerror}") from None
    return replace(finding, reproducer=str(target))


def _file_name(name: str) -> str:
    """A name without slashes, for it becomes that of the flagfile."""
    return name.replace("/", "_").lstrip("_@-") or "action"


def _write(finding: Finding, suite: Suite, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    names = dict.fromkeys(step.action.name for step in finding.history)
    actions = [suite.action(name) for name in names]
    for path, entry in suite.worker.tool_inputs.items():
        _put(target / path, entry)
    for action in actions:
        for path, entry in action.inputs.items():
            _put(target / path, entry)
    (target / "suite.toml").write_text(_toml(suite.worker, actions), encoding="utf-8")
    (target / "finding.json").write_text(
        json.dumps(finding.as_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    function = re.sub(r"\W", "_", f"{finding.code}_{finding.victim}".lower())
    summary = finding.summary.replace("\\", "/").replace('"', "'")
    test = _TEST.format(code=finding.code, summary=summary, function=function)
    (target / f"test_{function}.py").write_text(test, encoding="utf-8")


def _put(path: Path, entry: Entry) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(entry, File):
        path.write_bytes(entry.content)
        path.chmod(0o755 if entry.is_executable else 0o644)
    elif isinstance(entry, Symlink):
        path.unlink(missing_ok=True)
        path.symlink_to(entry.target)
    else:
        path.mkdir(exist_ok=True)


def _toml(worker: SuiteWorker, actions: list[SuiteAction]) -> str:
    lines = ["[worker]", f"command = {_list(worker.command)}"]
    lines.append(f"tool_inputs = {_list(worker.tool_inputs)}")
    lines.append(f'protocol = "{worker.protocol}"')
    switches = ("multiplex", "sandbox", "cancellation")
    lines += [f"{name} = true" for name in switches if getattr(worker, name)]
    lines.append(f"timeout = {worker.timeout!r}")
    if worker.environment:
        pairs = ", ".join(f"{_text(name)} = {_text(value)}" for name, value in worker.environment)
        lines.append(f"env = {{ {pairs} }}")
    for action in actions:
        lines += ["", "[[action]]", f"name = {_text(_file_name(action.name))}"]
        lines.append(f"arguments = {_list(action.arguments)}")
        lines.append(f"inputs = {_list(action.inputs)}")
        lines.append(f"outputs = {_list(action.outputs)}")
        if action.exit_code:
            lines.append(f"exit_code = {action.exit_code}")
    return "\n".join(lines) + "\n"


def _list(values: Iterable[str]) -> str:
    return "[" + ", ".join(_text(each) for each in values) + "]"


def _text(value: object) -> str:
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
