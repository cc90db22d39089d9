"""Carriers outside of a worker's memory, growth, and what is said where nothing can be proven."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture import cli
from rpw_fixture.client.inputs import File
from rpw_fixture.hermeticity.carriers import locating
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.facts import COLD_RESULTS, ColdResults
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.hermeticity.trials.harness import Harness
from rpw_fixture.hermeticity.trials.observer_link import ObserverLink
from rpw_fixture.hermeticity.trials.trial import Predecessor, RunMode, Trial, steps
from tests.hermeticity.carriers.leaky_workers import FRAME, MAIN
from tests.hermeticity.carriers.locations import locate, write_suite

GLOBAL = """
_seen = []
def work(name):
    _seen.append(name)
    return len(_seen)
"""
#: Answers requests in JSON, and remembers their names in HOME.
SHELL = """\
mkdir -p out
while read -r line; do
  name=$(printf %s "$line" | sed 's/.*"arguments":[^a-z]*\\([a-z]*\\).*/\\1/')
  seen=$(cat "$HOME/seen" 2>/dev/null)
  echo "$name $seen" > "out/$name.txt"
  echo "$name" >> "$HOME/seen"
  echo '{"exitCode":0,"output":""}'
done
"""


def worker(state: str, main: str = MAIN) -> dict[str, str]:
    return {"worker.py": FRAME.format(state=state, main=main)}


def names(finding: Finding) -> list[tuple[str, str, bool]]:
    return [(each.kind, each.name, each.is_confirmed) for each in finding.carriers]


def test_a_file_is_confirmed_for_a_worker_in_any_language(tmp_path: Path) -> None:
    suite = write_suite(
        tmp_path, {"worker.sh": SHELL}, '"sh", "tools/worker.sh"', 'protocol = "json"'
    )
    finding = locate(suite)
    assert names(finding) == [("file", "$HOME/seen", True)]
    assert finding.carriers[0].before == "absent"
    assert finding.carriers[0].after == "'hello\\n'"


def test_a_child_that_remembers_is_confirmed(tmp_path: Path) -> None:
    state = """
import subprocess
_child = None
def work(name):
    global _child
    if _child is None or _child.poll() is not None:
        _child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        _child.stdin.write(b"first\\n")
    else:
        _child.stdin.write(b"later\\n")
    _child.stdin.flush()
    return _child.stdout.readline()
"""
    finding = locate(write_suite(tmp_path, worker(state)))
    assert [each.is_confirmed for each in finding.carriers] == [True]
    assert finding.carriers[0].name in {"_child", "cat"}


@pytest.mark.parametrize(
    "start",
    [
        "os.execv(sys.executable, [sys.executable, 'tools/real.py', *sys.argv[1:]])",
        "sys.exit(subprocess.call([sys.executable, 'tools/real.py', *sys.argv[1:]]))",
        "sys.exit(subprocess.call([sys.executable, 'tools/real.py', *sys.argv[1:]], env=dict(os.environ)))",
    ],
)
def test_a_worker_behind_a_wrapper_is_observed(start: str, tmp_path: Path) -> None:
    files = {
        "wrapper.py": f"import os, subprocess, sys\n{start}\n",
        "real.py": worker(GLOBAL)["worker.py"],
    }
    finding = locate(write_suite(tmp_path, files, '"python3", "tools/wrapper.py"'))
    assert names(finding) == [("module global", "_seen", True)]


def test_the_tool_does_not_see_the_observer(tmp_path: Path) -> None:
    # A worker that writes all that it could notice gives the same result with an observer and without.
    state = """
import threading
_seen = []
_own = os.environ["HOME"].rpartition("/")[0]
def work(name):
    _seen.append(name)
    modules = [each for each in sys.modules if "rpw" in each or each == "sitecustomize"]
    variables = {key: value.replace(_own, "") for key, value in os.environ.items()}
    path = [each for each in sys.path if "observer" in each]
    return modules, variables, threading.active_count(), path, len(_seen)
"""
    finding = locate(write_suite(tmp_path, worker(state)))
    assert names(finding) == [("module global", "_seen", True)], finding.evidence


def test_a_worker_that_behaves_differently_is_not_located(tmp_path: Path) -> None:
    state = """
import signal
_seen = []
_is_watched = callable(signal.getsignal(signal.SIGRTMIN + 7))
def work(name):
    _seen.append(name)
    return 1 if _is_watched else len(_seen)
"""
    finding = locate(write_suite(tmp_path, worker(state)))
    assert finding.carriers == ()
    assert finding.evidence == "not located: the worker behaves differently when observed"


def test_a_python_that_loads_no_observer_is_said(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, worker(GLOBAL), '"python3", "-E", "tools/worker.py"')
    finding = locate(suite)
    assert finding.carriers == ()
    assert "its observer could not be loaded into the worker" in finding.evidence


def test_state_that_nothing_reaches_is_no_reason_to_blame_a_cache(tmp_path: Path) -> None:
    # The memo changes, and the state is in a process that is no child.
    state = """
import ctypes
_library = ctypes.CDLL(None)
_library.getenv.restype = ctypes.c_char_p
def work(name):
    before = _library.getenv(b"HIDDEN")
    _library.setenv(b"HIDDEN", name.encode(), 1)
    return before
"""
    finding = locate(write_suite(tmp_path, worker(state)))
    assert not any(each.is_confirmed for each in finding.carriers)
    assert "the result is still wrong" in finding.evidence


def test_two_carriers_that_are_both_needed_are_both_named(tmp_path: Path) -> None:
    state = """
_first, _second, _third = [], {}, set()
def work(name):
    before = len(_first), len(_second)
    _first.append(name)
    _second[name] = 1
    _third.add(name)
    return before
"""
    finding = locate(write_suite(tmp_path, worker(state)))
    assert names(finding) == [("module global", "_first", True), ("module global", "_second", True)]


@pytest.mark.parametrize(
    ("result", "carriers", "most"),
    [
        # A run that shows the finding, one with that list put back, its repetition, one for the line.
        ("len(_list7)", [("module global", "_list7", True)], 5),
        # A run that shows it: all lists are needed, which took too long to find out for the first one.
        (
            "[*map(len, _lists)]",
            [("module global", f"_list{each}", False) for each in range(16)],
            2,
        ),
    ],
    ids=["carrier", "too many"],
)
def test_what_was_learnt_from_one_finding_saves_starts_for_the_next(
    result: str, carriers: list[tuple[str, str, bool]], most: int, tmp_path: Path
) -> None:
    names_of_lists = [f"_list{number}" for number in range(16)]
    lines = [
        *(f"{each} = []" for each in names_of_lists),
        f"_lists = {', '.join(names_of_lists)}",
        "def work(name):",
        "    for each in _lists: each.append(name)",
        f"    return {result}",
    ]
    suite = load(write_suite(tmp_path, worker("\n".join(lines))))
    hello, bye = suite.actions
    with Harness(suite) as harness:
        context = CheckContext(suite=suite, harness=harness)
        context.facts.share(COLD_RESULTS, ColdResults(usable=suite.actions))
        earlier, starts = locating.EarlierSearches(), [0]
        for history in (steps(hello, bye), steps(hello, hello)):
            victim = history[-1].action.name
            finding = Finding(code="RPW202", victim=victim, summary="", history=history)
            found = locating.locate(context, finding, earlier)
            assert set(names(found)) >= set(carriers), found.evidence
            starts.append(harness.book.worker_starts)
    assert starts[2] - starts[1] <= most < starts[1]


def test_what_an_ended_worker_left_is_confirmed(tmp_path: Path) -> None:
    state = """
def work(name):
    path = os.path.join(os.environ["TMPDIR"], "deep", f"{os.getpid()}.state")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    before = len(os.listdir(os.path.dirname(path)))
    open(path, "w").close()
    return before
"""
    suite_file = write_suite(tmp_path, worker(state))

    def after_another(context: CheckContext) -> Finding:
        hello, bye = context.suite.actions
        trial = Trial(history=steps(bye), predecessors=(Predecessor(history=steps(hello)),))
        return Finding(code="RPW214", summary="", history=steps(hello, bye), trial=trial)

    finding = locate(suite_file, finding_of=after_another)
    assert [(each.kind, each.is_confirmed) for each in finding.carriers] == [("file", True)]
    assert finding.carriers[0].name.startswith("$TMPDIR/deep/")


def test_what_only_open_requests_change_is_a_suspect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    state = f"""
import time
_open, _names = [], []
def work(name):
    _open.append(name)
    _names.append(name)
    while name == "hello" and not os.path.exists({str(gate)!r}):
        time.sleep(0.01)
    found = sorted(_open)
    _open.remove(name)
    return found
"""
    source = FRAME.format(state=state, main=_MULTIPLEX)
    suite_file = write_suite(tmp_path, {"worker.py": source}, more="multiplex = true")
    asked = []
    ask = ObserverLink.ask

    def ask_and_let_go(link: ObserverLink, message: Mapping[str, object]) -> dict[str, Any]:
        answer = ask(link, message)
        asked.append(message["do"])
        if asked[-1] == "mark":
            gate.unlink(missing_ok=True)
        elif asked[-2:] == ["changes", "changes"]:
            gate.touch()  # the second look comes after the victim's response
        return answer

    monkeypatch.setattr(ObserverLink, "ask", ask_and_let_go)
    finding = locate(suite_file, finding_of=_at_once)
    suspect = next(each for each in finding.carriers if each.name == "_open")
    assert (suspect.before, suspect.after) == ("[]", "['hello']")
    assert ("module global", "_names", False) in names(finding)
    assert not any(each.is_confirmed for each in finding.carriers)
    assert "nothing can be put back to prove it" in finding.evidence


def _at_once(context: CheckContext) -> Finding:
    history = steps(*context.suite.actions)
    mode = RunMode.OVERLAPPING
    return Finding(code="RPW213", victim="bye", summary="", history=history, mode=mode)


_MULTIPLEX = """import threading
    from rpw_worker import ProtoCodec
    lock = threading.Lock()
    def answer(request):
        try:
            response = handle(request)
        except Exception as error:
            response = rpw_worker.WorkResponse(1, str(error))
        response.request_id = request.request_id
        with lock:
            out.write(ProtoCodec().encode(response))
            out.flush()
    out = os.fdopen(os.dup(1), "wb")
    stdin = sys.stdin.buffer
    while (request := ProtoCodec().read(stdin)) is not None:
        threading.Thread(target=answer, args=(request,)).start()"""

_THREADS = """
import threading
_end = threading.Event()
def wait_for_ever():
    _end.wait()
def work(name):
    threading.Thread(target=wait_for_ever, daemon=True).start()
"""

GROWING = [
    (
        "RPW301",
        "module global",
        "_all",
        "_all = {}\ndef work(name):\n    _all[len(_all)] = bytearray(20000)",
    ),
    (
        "RPW302",
        "descriptor",
        "/dev/null",
        "_open = []\ndef work(name):\n    _open.append(os.open('/dev/null', os.O_RDONLY))",
    ),
    (
        "RPW303",
        "thread",
        "wait_for_ever",
        _THREADS,
    ),
    (
        "RPW304",
        "file",
        "$TMPDIR/tmp*.o",
        "import tempfile\ndef work(name):\n    os.close(tempfile.mkstemp(suffix='.o')[0])",
    ),
]


@pytest.mark.parametrize(("code", "kind", "name", "state"), GROWING)
def test_what_grows_is_named(code: str, kind: str, name: str, state: str, tmp_path: Path) -> None:
    finding = locate(write_suite(tmp_path, worker(state)), ("hello",) * 40, code)
    assert names(finding)[0] == (kind, name, True), finding
    assert not any(each.is_confirmed for each in finding.carriers[1:])


def test_stale_content_is_located_like_any_other_state(tmp_path: Path) -> None:
    state = """
_contents = {}
def work(name):
    with open("src/a.txt") as file:
        return _contents.setdefault(name, file.read())
"""
    suite_file = write_suite(tmp_path, worker(state))

    def changed(context: CheckContext) -> Finding:
        hello = context.suite.actions[0]
        one = hello.changed("old", inputs={"src/a.txt": File(b"old")})
        other = hello.changed("new", inputs={"src/a.txt": File(b"new")})
        return Finding(code="RPW203", victim="hello", summary="", history=steps(one, other))

    finding = locate(suite_file, finding_of=changed)
    assert names(finding) == [("module global", "_contents", True)]


def test_only_so_much_is_located(tmp_path: Path) -> None:
    context = type("Context", (), {"is_remote": False})()
    history = steps(SuiteAction(name="a", arguments=()))
    wanted = Finding(code="RPW202", summary="", history=history)
    assert locating.can_be_located(context, wanted)
    doubtful = Finding(code="RPW202", summary="", history=history, is_doubtful=True)
    advice = Finding(code="RPW202", severity=Severity.INFO, summary="", history=history)
    other = Finding(code="RPW201", summary="", history=history)
    assert not any(locating.can_be_located(context, each) for each in (doubtful, advice, other))


def test_reports_name_the_carriers_unless_that_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = write_suite(tmp_path, worker(GLOBAL))
    options = ["check", str(suite), "--select", "RPW202"]
    formats = [f"--format=json={tmp_path}/j", f"--format=sarif={tmp_path}/s"]
    formats += [f"--format=markdown={tmp_path}/m", "--format=text"]
    assert cli.main([*options, *formats]) == 1
    text = capsys.readouterr().out
    line = "carried by module global _seen (tools/worker.py:9): [] → ['hello'], changed at"
    assert text.splitlines()[1].strip().startswith(line)
    (first, *_) = json.loads((tmp_path / "j").read_text())["findings"]
    (carrier,) = first["carriers"]
    assert carrier == {
        "kind": "module global",
        "name": "_seen",
        "place": "tools/worker.py:9",
        "before": "[]",
        "after": "['hello']",
        "confirmed": True,
        "changed_at": "tools/worker.py:11",
    }
    (run,) = json.loads((tmp_path / "s").read_text())["runs"]
    assert run["results"][0]["properties"]["carriers"] == [carrier]
    assert line.replace("_", "\\_").replace("[]", "\\[\\]")[:40] in (tmp_path / "m").read_text()
    assert cli.main([*options, "--no-locate"]) == 1
    assert "carried by" not in capsys.readouterr().out
