"""The lane's own parts: which changes there are, which are chosen, and which tests are run for them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.mutation.baseline import Baseline, Measured
from tests.mutation.boxes import Box, why_impossible
from tests.mutation.changes import Change, Kind, changes_of, choose
from tests.mutation.equivalents import EQUIVALENTS, Equivalent, stale
from tests.mutation.selection import FIRST, Selection, changed_lines, files_of
from tests.mutation.trying import Trials, Verdict

ROOT = Path(__file__).resolve().parents[2]
MEMO = "rpw_fixture/support/memo.py"
#: Code, and a change that is made of it, by kind; é makes bytes and characters differ.
MADE = {
    Kind.COMPARISON: ("é = 1 if a <= b else 2", "é = 1 if a < b else 2"),
    Kind.CONDITION: ("if a and b: é()", "if a or b: é()"),
    Kind.CONSTANT: ("é = [5, True]", "é = [(6), True]"),
    Kind.STATEMENT: ("é = 1\nself.é += é", "é = 1\npass"),
    Kind.LOCK: (
        "with é, self._lock:\n    pass",
        "with é, __import__('contextlib').nullcontext():\n    pass",
    ),
    Kind.HANDLER: (
        "try: pass\nexcept (OSError, é): pass",
        "try: pass\nexcept ZeroDivisionError: pass",
    ),
    Kind.CALL: ("é = max(a, b)", "é = (a)"),
    Kind.RETURN: ("def f(): return é", "def f(): return None"),
}


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_of_change_is_made(kind: Kind) -> None:
    code, changed = MADE[kind]
    found = [each for each in changes_of("m.py", code.encode()) if each.kind is kind]
    assert changed in [each.apply(code.encode()).decode() for each in found]


@pytest.mark.parametrize(
    "code",
    [
        '"""A docstring 1."""',
        "if TYPE_CHECKING:\n    import a",
        "a: Literal[1]",
        "def f(a: Literal[1]) -> None: ...",
        "@overload\ndef f(a): return 1",
        "def f(): return None",
    ],
)
def test_what_does_not_run_is_not_changed(code: str) -> None:
    assert changes_of("m.py", code.encode()) == []


def test_a_seed_chooses_the_same_changes_again_and_another_one_others() -> None:
    modules = ["rpw_fixture/events/log.py", "rpw_fixture/support/memo.py"]
    chosen = [choose(ROOT, modules, seed=seed, count=20) for seed in (1, 1, 2)]
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(set(chosen[0])) == 20
    for each in chosen[0]:
        content = (ROOT / each.module).read_bytes()
        changed = each.apply(content)
        assert changed != content
        compile(changed, "changed", "exec")
        assert each.description.startswith(f"{each.module}:{each.line}: ")
        assert "\n" not in each.description


def test_every_entry_of_tests_names_modules_and_tests_that_exist() -> None:
    for module, entries in FIRST.items():
        assert (ROOT / module).exists(), module
        for entry in entries.split():
            assert list(files_of(ROOT, entry)), entry


def _change(module: str, text: str) -> Change:
    """Return a change on the line of a module that ``text`` stands in."""
    content = (ROOT / module).read_text()
    line = content[: content.index(text)].count("\n") + 1
    return Change(module=module, line=line, start=0, end=0, old="", new="", kind=Kind.CONSTANT)


def test_a_change_is_tried_with_the_tests_that_run_it_its_own_first() -> None:
    change = _change(MEMO, "self._values.pop(key)")
    baseline = Baseline(
        tests=[
            Measured(id="tests/cli/test_run.py::test_starts", seconds=1, starts_programs=True),
            Measured(id="tests/wire/test_trees.py::test_quick", seconds=1),
            Measured(id="tests/wire/test_trees.py::test_long", seconds=9),
            Measured(id="tests/support/test_lazy.py::test_other", seconds=1),
            Measured(id="tests/support/test_memo.py::test_it", seconds=5),
            Measured(id="tests/support/test_memo.py::test_starts", seconds=2, starts_programs=True),
        ],
        lines={MEMO: {change.line: 0b010110}},
    )
    chosen = Selection(ROOT, baseline, longest=10.0).tests(change)
    assert [each.id.rpartition("_")[2] for each in chosen] == ["starts", "it", "quick"]
    unseen = Selection(ROOT, baseline, longest=60.0).tests(_change(MEMO, "self._values.clear()"))
    assert [each.id.rpartition("_")[2] for each in unseen] == ["other", "starts", "it"]
    everywhere = Selection(ROOT, baseline, longest=60.0).tests(_change(MEMO, "class Memo"))
    assert len(everywhere) == len(baseline.tests)


def test_a_dropped_lock_is_tried_with_the_tests_of_locks_first() -> None:
    other, guarding = (
        Measured(id=f"tests/{name}::test", seconds=1.0)
        for name in ("support/test_memo.py", "test_locks_of_parts.py")
    )
    baseline = Baseline(tests=[other, guarding])
    change = replace(_change(MEMO, "class Memo"), kind=Kind.LOCK)
    assert Selection(ROOT, baseline, longest=1.0).tests(change) == [guarding]


CODE = b"""\
A = 1
def f(a=1):
    if (a and
            a):
        return 1
    try:
        with a:
            g()
    except E:
        pass
    match a:
        case 1:
            return (
                2
            )
class C:
    b = 1
"""


@pytest.mark.parametrize(
    ("line", "lines"),
    [(1, None), (2, None), (4, [3, 4]), (5, [5]), (7, [7]), (8, [8]), (9, [9]), (12, [12]),
     (14, [13, 14, 15]), (17, None)],
)  # fmt: skip
def test_the_lines_of_a_change_are_those_of_its_statement(
    line: int, lines: list[int] | None
) -> None:
    change = Change(module="m", line=line, start=0, end=0, old="", new="", kind=Kind.CONSTANT)
    found = changed_lines(CODE, change)
    assert (None if found is None else list(found)) == lines


def test_what_reports_say_is_added_up_and_kept(tmp_path: Path) -> None:
    baseline = Baseline()
    for name in ("a", "b"):
        tests = [
            {"id": f"{name}1", "outcome": "failed", "seconds": 1.0, "starts_programs": False},
            {"id": f"{name}2", "outcome": "passed", "seconds": 2.0, "starts_programs": True},
            {"id": f"{name}3", "outcome": "skipped", "seconds": 1.0, "starts_programs": False},
            {"id": f"{name}4", "outcome": "passed", "seconds": 4.0, "starts_programs": False},
        ]
        lines = {"m.py": {"7": "a" if name == "a" else "f", "8": "1"}}
        path = tmp_path / name
        path.write_text(json.dumps({"tests": tests, "lines": lines}))
        assert baseline.add(path) == [f"{name}1"]
    baseline.write(tmp_path / "kept")
    for each in (baseline, Baseline.read(tmp_path / "kept")):
        assert [test.id for test in each.running("m.py", [7])] == ["a2", "a4", "b2", "b4"]
        assert each.running("m.py", [8]) == each.running("other.py", [7]) == []
        assert each.tests[0] == Measured(id="a2", seconds=2.0, starts_programs=True)


def test_an_equivalent_that_is_not_in_the_code_is_reported() -> None:
    assert stale(ROOT) == []
    assert not EQUIVALENTS[0].covers(
        Change(module="x", line=1, start=0, end=0, old="", new="", kind=Kind.CALL)
    )


def test_an_equivalent_covers_its_change_only() -> None:
    entry = Equivalent(module="a/", old="x < 1", new="<=", reason="r", kind=Kind.COMPARISON)
    change = Change(
        module="a/b.py", line=1, start=0, end=5, old="x < 1", new="x <= 1", kind=Kind.COMPARISON
    )
    assert entry.covers(change)
    assert not Equivalent(module="a/b", old="x", reason="r").covers(change)
    assert not Equivalent(module="a/", old="y", reason="r").covers(change)
    assert not Equivalent(module="a/", old="x", kind=Kind.LOCK, reason="r").covers(change)


def test_some_files_are_measured_whole_whatever_the_marks_choose(tmp_path: Path) -> None:
    asked = []

    class Asked:
        copy = tmp_path

        def run(self, arguments, *_) -> None:
            asked.append([each for each in arguments if each == "-m" or each.startswith("tests/")])

    files = ["tests/a.py", "tests/locks.py"]
    Trials([Asked()], lambda _: None).measure(files, ("-m", "not slow"), ["tests/locks.py"])
    assert asked == [["-m", "tests/a.py"], ["tests/locks.py"]]


@pytest.mark.skipif(why_impossible() is not None, reason=str(why_impossible()))
def test_a_change_is_caught_or_survives_and_the_checkout_stays_as_it_is(tmp_path: Path) -> None:
    path = ROOT / MEMO
    before = path.read_bytes()
    lines: list[str] = []
    trials = Trials([Box(ROOT, tmp_path)], lines.append)
    baseline = trials.measure(["tests/support/test_memo.py"])
    assert lines == []
    keeping = _change(MEMO, "self._values.pop(key)")
    assert 0 < len(baseline.running(MEMO, [keeping.line])) < len(baseline.tests)
    selection = Selection(ROOT, baseline, longest=60.0)
    broken = replace(keeping, start=0, end=0, new="raise SystemError\n")
    harmless = replace(broken, new="# nothing\n")
    caught, survived = trials.try_all([broken, harmless], selection)
    assert (caught.verdict, survived.verdict) == (Verdict.CAUGHT, Verdict.SURVIVED)
    assert len(lines) == 2
    assert path.read_bytes() == before
