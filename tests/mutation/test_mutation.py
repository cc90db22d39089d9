"""The lane's own parts: which changes there are, which are chosen, and which tests are run for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.boxes import Box, why_impossible
from tests.mutation.changes import Change, Kind, changes_of, choose
from tests.mutation.equivalents import EQUIVALENTS, Equivalent, stale
from tests.mutation.selection import FIRST, Selection, entry_of, files_of
from tests.mutation.trying import Trials, Verdict

ROOT = Path(__file__).resolve().parents[2]
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


def test_a_module_has_its_own_tests_first_and_quick_ones_then() -> None:
    seconds = {
        "tests/test_locks.py": 9.0,
        "tests/events/test_log.py": 1.0,
        "tests/support/test_lazy.py": 2.0,
    }
    selection = Selection(ROOT, {**seconds, "tests/cli/test_signals.py": 30.0}, longest=10.0)
    module = "rpw_fixture/events/log.py"
    assert entry_of(module) == "rpw_fixture/events/"
    assert selection.first(module) == ["tests/test_locks.py", "tests/events/test_log.py"]
    assert selection.rest(module) == ["tests/support/test_lazy.py"]


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


@pytest.mark.skipif(why_impossible() is not None, reason=str(why_impossible()))
def test_a_change_is_caught_or_survives_and_the_checkout_stays_as_it_is(tmp_path: Path) -> None:
    path = ROOT / "rpw_fixture/support/memo.py"
    before = path.read_bytes()
    module = "rpw_fixture/support/memo.py"
    lines: list[str] = []
    trials = Trials([Box(ROOT, tmp_path)], lines.append)
    baseline = trials.measure(["tests/support/test_lazy.py"])
    assert baseline.failing == []
    selection = Selection(ROOT, baseline.seconds, longest=60.0)
    broken = Change(
        module="rpw_fixture/support/lazy.py",
        line=1,
        start=0,
        end=0,
        old="",
        new="raise SystemError\n",
        kind=Kind.STATEMENT,
    )
    harmless = Change(
        module=module, line=1, start=0, end=0, old="", new="# nothing\n", kind=Kind.STATEMENT
    )
    caught, survived = trials.try_all([broken, harmless], baseline, selection)
    assert (caught.verdict, survived.verdict) == (Verdict.CAUGHT, Verdict.SURVIVED)
    assert len(lines) == 2
    assert path.read_bytes() == before
