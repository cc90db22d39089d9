"""Writing reproducers: a folder with a suite, its inputs and a pytest test that shows a finding again."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rpw_fixture.client.inputs import Entry, File, Symlink
from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.hermeticity.findings import history_file
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding, listed
from rpw_fixture.hermeticity.findings.history_file import History
from rpw_fixture.hermeticity.suites.suite import (
    USUAL_FLAGFILE,
    Suite,
    SuiteAction,
    SuiteWorker,
    fingerprint,
)
from rpw_fixture.hermeticity.trials.trial import Step
from rpw_fixture.support.paths import parents_of
from rpw_fixture.support.program_form import ProgramForm, program_command, program_form
from rpw_fixture.workers.key import Ability

_REPLAY = '''"""Shows {code} again: {summary}.

{requests}.
"""

import subprocess
{imports}from pathlib import Path


def test_{function}() -> None:
    command = [{program}, "check", str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{summary}\\n{{done.stdout}}{{done.stderr}}"
'''
_TEST = '''"""Shows {code} again: {summary}."""

import json
import subprocess
{imports}from pathlib import Path


def test_{function}() -> None:
    suite = Path(__file__).with_name("suite.toml")
    command = [{program}, "check", str(suite), "--format", "json"]
    command += ["--select", "{code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in {{0, 1}}, done.stderr
    found = [each for each in json.loads(done.stdout)["findings"] if each["severity"] != "info"]
    assert not found, "\\n\\n".join(f"{{each['summary']}}\\n{{each['evidence']}}" for each in found)
'''


def write(
    finding: Finding, suite: Suite, folder: Path, number: int, *, is_replayed: bool = False
) -> Finding:
    """Write the reproducer of a finding; return the finding with its folder.

    Infos and findings that no request shows have no reproducer.

    Args:
        finding: the finding.
        suite: the suite that it was found in.
        folder: the folder of all reproducers; created if it does not exist.
        number: the number of the finding.
        is_replayed: running the finding's history once shows the bug; else the reproducer runs the
            check again, on the actions of the history.

    Raises:
        EnvironmentLacksError: the reproducer can't be written.
    """
    if not finding.history or finding.severity is Severity.INFO:
        return finding
    name = "-".join(each for each in (f"{number:02}", finding.code, finding.victim) if each)
    target = folder / re.sub(r"[^\w.+-]", "_", name)
    try:
        _write(finding, suite, target, is_replayed=is_replayed)
    except OSError as error:
        raise EnvironmentLacksError(f"--reproducers {folder}: {error.strerror}") from None
    return replace(finding, reproducer=str(target))


def _write(finding: Finding, suite: Suite, target: Path, *, is_replayed: bool) -> None:
    target.mkdir(parents=True, exist_ok=True)
    history = History.of(finding)
    names = dict.fromkeys(step.action.name for step in history.all_steps)
    new_names = dict(zip(names, _file_names(names), strict=True))
    actions = {new: suite.action(name) for name, new in new_names.items()}
    function = re.sub(r"\W", "_", f"{finding.code}_{finding.victim}".lower())
    taken = {"suite.toml", "finding.json", history_file.NAME, f"test_{function}.py"}
    trees = [suite.worker.tool_inputs, *(each.inputs for each in actions.values())]
    has_roots = not _fit_together(trees, taken)
    roots = ["tool", *(f"input/{name}" for name in actions)] if has_roots else [""] * len(trees)
    for root, tree in zip(roots, trees, strict=True):
        for path, entry in tree.items():
            _put(target / root / path, entry)
    (target / "suite.toml").write_text(_toml(suite.worker, actions, roots), encoding="utf-8")
    (target / "finding.json").write_text(
        json.dumps(finding.as_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    if is_replayed:
        history_file.write(target, history, suite, new_names)
    program, imports = _program()
    test = (_REPLAY if is_replayed else _TEST).format(
        code=finding.code,
        summary=_quoted(finding.summary),
        requests=_quoted(_in_words(history)),
        function=function,
        program=program,
        imports=imports,
    )
    (target / f"test_{function}.py").write_text(test, encoding="utf-8")


def _in_words(history: History) -> str:
    """Return what is requested of which worker."""
    found = [_asked("an earlier worker", each.history) for each in history.predecessors]
    if history.started_with is not None:
        found.append(f"The worker starts with the inputs of {history.started_with.title}")
    return "; ".join([*found, _asked("one worker", history.steps)])


def _asked(worker: str, steps: tuple[Step, ...]) -> str:
    return f"Requests to {worker}: {listed([each.action.title for each in steps])}"


def _quoted(text: str) -> str:
    """Return a text that can stand in a docstring."""
    return text.replace("\\", "/").replace('"', "'")


def _program() -> tuple[str, str]:
    """Return elements of a list that start this program, as Python code, and the import they need.

    A package is looked for in the Python that runs the test, a single file or zipapp where it is now.
    """
    if program_form() is ProgramForm.FILE:
        return ", ".join(map(repr, program_command())), ""
    arguments = ", ".join(map(json.dumps, program_command()[1:]))
    return f"sys.executable, {arguments}", "import sys\n"


def _file_names(names: Iterable[str]) -> list[str]:
    """Return different names without slashes, because they become names of flagfiles."""
    found: dict[str, None] = {}
    for name in names:
        plain = name.replace("/", "_").lstrip("_@-") or "action"
        free = (f"{plain}{suffix}" for suffix in ("", *(f"-{count}" for count in range(2, 10_000))))
        found[next(each for each in free if each not in found)] = None
    return list(found)


def _fit_together(trees: Sequence[Mapping[str, Entry]], taken: Collection[str]) -> bool:
    """Return whether the files of all trees fit into one folder together with those names."""
    seen: dict[str, str] = dict.fromkeys(taken, "taken")
    for tree in trees:
        for path, entry in tree.items():
            if seen.setdefault(path, fingerprint(entry)) != fingerprint(entry):
                return False
    return not any(parent in seen for path in seen for parent in parents_of(path))


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


def _toml(worker: SuiteWorker, actions: Mapping[str, SuiteAction], roots: Sequence[str]) -> str:
    lines = ["[worker]", f"command = {_list(worker.command)}", *_root(roots[0])]
    lines.append(f"tool_inputs = {_list(worker.tool_inputs)}")
    lines.append(f'protocol = "{worker.protocol}"')
    lines += [f"{ability} = true" for ability in Ability if getattr(worker, ability)]
    lines.append(f"timeout = {worker.timeout!r}")
    if worker.environment:
        pairs = ", ".join(f"{_text(name)} = {_text(value)}" for name, value in worker.environment)
        lines.append(f"env = {{ {pairs} }}")
    if worker.working_directory:
        lines.append(f"working_directory = {_text(worker.working_directory)}")
    if worker.flagfile != USUAL_FLAGFILE:
        lines.append(f"flagfile = {_text(worker.flagfile)}")
    if not worker.one_shot:
        lines.append("one_shot = false")
    if worker.readable:
        lines.append(f"readable = {_list(worker.readable)}")
    for (name, action), root in zip(actions.items(), roots[1:], strict=True):
        lines += ["", "[[action]]", f"name = {_text(name)}", *_root(root)]
        lines.append(f"arguments = {_list(action.arguments)}")
        lines.append(f"inputs = {_list(action.inputs)}")
        lines.append(f"outputs = {_list(action.outputs)}")
        if action.exit_code:
            lines.append(f"exit_code = {action.exit_code}")
    return "\n".join(lines) + "\n"


def _root(root: str) -> list[str]:
    return [f"root = {_text(root)}"] if root else []


def _list(values: Iterable[str]) -> str:
    return "[" + ", ".join(_text(each) for each in values) + "]"


def _text(value: object) -> str:
    # TOML has the escapes of JSON, and also requires DEL to be escaped.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
