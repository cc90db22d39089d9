"""Parts in which fresh workers differ are left out and reported; everything else still counts."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture.hermeticity.checks import instability
from rpw_fixture.hermeticity.checks.instability import next_tick
from rpw_fixture.hermeticity.findings import parts
from rpw_fixture.hermeticity.findings.report import CheckState, Report, Status
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials import worker_setup
from rpw_fixture.hermeticity.trials.trial import Outcome, Step
from rpw_fixture.wire.digests import SHA256
from tests.hermeticity.samples import codes, run, stage
from tests.storage.small_stores import make_cas


def state_of(report: Report, code: str) -> CheckState:
    return next(each for each in report.checks if each.code == code)


def test_a_leak_beside_a_process_id_is_found_and_the_id_is_left_out(tmp_path: Path) -> None:
    report = run(stage(tmp_path / "suite", "counts_beside_pid.py"), "RPW201,RPW202,RPW210")
    assert codes(report) == {"RPW201", "RPW202"}
    assert "left out, because fresh workers differ in it: alpha: out/alpha.txt (line 1, word 3" in (
        state_of(report, "RPW210").reason
    )


def test_a_leak_is_found_though_the_order_of_a_folder_reaches_the_same_output(
    tmp_path: Path,
) -> None:
    arguments = "counts_beside_pid.py", "--factor=directory-order"
    report = run(
        stage(tmp_path / "suite", *arguments, shared=["src/b.txt", "src/a.txt"]), "RPW202,RPW209"
    )
    (state,) = [each for each in report.checks if each.code == "RPW209"]
    # A disk's file system lists a folder in an order that nobody can choose, and the report says so.
    can_vary = "put TMPDIR on a RAM disk" not in state.reason
    assert codes(report) == ({"RPW202", "RPW209"} if can_vary else {"RPW202"})


def test_a_path_is_found_beside_a_process_id(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "counts_beside_pid.py")
    edit(suite, 'f"{first}\\nrequest {served}', 'f"{first}\\n{os.getcwd()}')
    report = run(suite, "RPW202,RPW210")
    assert codes(report) == {"RPW210"}


def test_a_path_is_found_where_the_order_of_a_folder_is_not_fixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_setup, "_lists_by_creation", lambda _: False)
    suite = stage(tmp_path / "suite", "path_in_output.py")
    assert codes(run(suite, "RPW201,RPW210")) == {"RPW210"}
    (state,) = run(suite, "RPW209").checks
    assert "directory order (this file system" in state.reason


def test_a_clock_in_an_output_is_nondeterminism_and_nothing_else(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "counts_beside_pid.py")
    edit(
        suite,
        'first = f"process {os.getpid()}"',
        'first = __import__("time").asctime(__import__("time").gmtime())',
    )
    edit(suite, "request {served}", "request")
    assert codes(run(suite)) == {"RPW201"}
    assert run(suite, "RPW202,RPW203,RPW204,RPW205").findings == ()


def test_a_clock_of_two_seconds_is_nondeterminism(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "counts_beside_pid.py", headers=["alpha"])
    clock = 'first = str(int(__import__("time").time()) // 2)'
    edit(suite, 'first = f"process {os.getpid()}"', clock)
    edit(suite, "request {served}", "request")
    assert codes(run(suite, "RPW201,RPW202,RPW205")) == {"RPW201"}


def test_a_clock_that_turns_while_checks_run_is_nondeterminism(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instability, "MINUTE", 4)
    suite = stage(tmp_path / "suite", "counts_beside_pid.py", headers=["alpha"])
    clock = """first = "at %d" % (__import__("time").time() // 4)"""
    edit(suite, 'first = f"process {os.getpid()}"', clock)
    edit(suite, "request {served}", "request")
    # A run within four seconds sees the clock only where the check itself sets another time.
    assert {(each.code, each.variation.factor) for each in run(suite).findings} <= {
        ("RPW201", ""),
        ("RPW209", "clock"),
    }


def test_a_code_for_which_nothing_is_left_to_compare_has_not_passed(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "counts_beside_pid.py")
    edit(suite, 'f"{first}\\nrequest {served}', 'f"{os.urandom(8).hex() * (os.getpid() % 7 + 1)}')
    edit(suite, "\\n{options.header}\\n", "")
    worker = suite.parent / "tools" / "counts_beside_pid.py"
    lines = "'\\n'.join('x' * each for each in os.urandom(os.urandom(1)[0] + 9))"
    text = worker.read_text()
    start = text.index("    good.write_output")
    worker.write_text(
        text[:start]
        + f"    good.write_output(request, options.output, {lines})\n"
        + text[text.index("    return response") :]
    )
    report = run(suite, "RPW201,RPW202,RPW203")
    assert codes(report) == {"RPW201"}
    assert state_of(report, "RPW202").status is Status.SKIPPED
    assert "nothing is left to compare" in state_of(report, "RPW202").reason


def test_random_words_everywhere_are_nondeterminism_and_nothing_else(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "counts_beside_pid.py")
    edit(
        suite,
        'f"{first}\\nrequest {served}\\n{options.header}\\n"',
        "'\\n'.join(__import__('random').choices('0123456789', k=40))",
    )
    assert codes(run(suite, "RPW201,RPW202,RPW203,RPW205,RPW210,RPW401")) == {"RPW201"}


def test_inputs_that_no_result_shows_are_not_said_to_be_well_kept(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "good.py", headers=["alpha"])
    lines = suite.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("inputs")]
    suite.write_text("\n".join(kept).replace('"--in", "src/alpha.txt", ', "") + "\n")
    report = run(suite, "RPW203,RPW204,RPW401")
    assert {each.status for each in report.checks} == {Status.SKIPPED}


def test_a_difference_that_does_not_come_again_is_info_and_the_code_has_not_passed(
    tmp_path: Path,
) -> None:
    suite = stage(tmp_path / "suite", "good.py")
    flag = tmp_path / "seen"
    once = (
        f"    if options.header == 'beta' and _translations and not os.path.exists({str(flag)!r}):\n"
        f"        open({str(flag)!r}, 'w').close()\n"
        "        parts.append('only once')\n"
    )
    worker = suite.parent / "tools" / "good.py"
    text = worker.read_text()
    join = "    parts += [translate"
    assert text.count(join) == 1
    worker.write_text(text.replace(join, once + join))
    report = run(suite, "RPW202")
    (finding,) = report.findings
    assert (str(finding.severity), finding.code, finding.victim) == ("info", "RPW202", "beta")
    assert "+only once" in finding.evidence
    assert finding.polluters
    assert state_of(report, "RPW202").status is Status.SKIPPED
    assert not report.has_errors


def edit(suite: Path, old: str, new: str) -> None:
    worker = suite.parent / "tools" / "counts_beside_pid.py"
    text = worker.read_text()
    assert text.count(old) == 1
    worker.write_text(text.replace(old, new))


# --- parts ---


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("a\nb 1 c\n", "a\nb 2 c\n", {"line 2, word 3"}),
        ("a\nb c\n", "a\nc b\n", {"line 2, order of words"}),
        ("a\nb\nc\n", "c\na\nb\n", {"order of lines"}),
        ("a\nb\n", "a\nb\nc\n", {"lines from 3"}),
        ("a\nx y\n", "a\nx y z\n", {"line 2"}),
        ("same", "same", set()),
    ],
)
def test_parts_of_text_are_lines_and_words(before: str, after: str, found: set[str]) -> None:
    assert parts.differing(before.encode(), after.encode()) == found


def test_parts_of_other_files_are_ranges_of_bytes() -> None:
    before, after = bytes(30), bytes(17) + b"\x01" + bytes(12)
    assert parts.differing(before, after) == {"bytes 16–23"}
    assert parts.differing(before, bytes(31)) == {parts.WHOLE}


def test_parts_of_archives_are_members_and_what_is_in_them() -> None:
    one = archive({"a": ("x 1\n", 2000), "b": ("y\n", 2000)})
    other = archive({"a": ("x 2\n", 2000), "b": ("y\n", 2002)})
    found = parts.differing(one, other)
    assert found == {"member a, line 1, word 3", "member b, time or mode"}
    assert parts.differing(one, other, found) == frozenset()


def test_an_ignored_part_covers_what_lies_within_and_nothing_else() -> None:
    ignored = frozenset({"line 1"})
    assert parts.differing(b"a 1\nb 1\n", b"a 2\nb 2\n", ignored) == {"line 2, word 3"}


def test_where_lines_have_no_order_their_contents_still_count() -> None:
    known = parts.unstable([b"a\nb\nc\n", b"b\nc\na\n"])
    assert known == {parts.LINE_ORDER}
    assert parts.differing(b"a\nb\nc\n", b"c\nb\na\n", known) == frozenset()
    assert parts.differing(b"a\nb\nc\n", b"c\nb\nx\n", known)


def test_places_that_change_each_time_are_not_trusted() -> None:
    samples = [b"a b c d", b"x b c d", b"x y z d"]
    assert parts.unstable(samples) == {parts.WHOLE}
    assert parts.unstable([b"a b", b"x b", b"y b"]) == {"line 1, word 1"}


def test_every_clock_has_moved_at_the_next_tick() -> None:
    for now in (100.0, 101.999, 102.0):
        assert int(next_tick(now)) // 2 > int(now) // 2
        assert next_tick(now) - now < 2.1


def archive(files: dict[str, tuple[str, int]]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as made:
        for name, (text, year) in files.items():
            made.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), text)
    return target.getvalue()


def test_outputs_that_a_fresh_worker_writes_late_are_left_out_and_no_nondeterminism(
    tmp_path: Path,
) -> None:
    known = instability.Instability(make_cas(tmp_path).store(SHA256))
    action = SuiteAction(name="alpha", arguments=(), outputs=("out", "other"))

    def outcome(late: tuple[str, ...] = (), **changes: Any) -> Outcome:
        return Outcome(step=Step(action=action), exit_code=0, rewritten=late, **changes)

    known.begin([outcome()], 0.0, 0.0)
    assert not known.has_late_outputs
    assert known.add(action, [outcome(("out",), outputs={"out": "1"})], 0.0)
    assert not known.add(action, [outcome(("out",), outputs={"out": "2"})], 0.0)
    assert known.has_late_outputs
    assert known.lessons == ("alpha",)
    assert known.unstable(action) == []
    assert known.pair(action) is None
    assert known.differing(outcome(), outcome(outputs={"out": "3"})) == []
    assert known.differing(outcome(), outcome(outputs={"other": "3"})) == ["other"]
    assert known.differing(outcome(), outcome(response="text")) == ["response text"]
    assert list(known.describe()) == ["alpha: out (written after the response)"]
    assert known.is_blank([action])

    known.begin([outcome(("other",), outputs={"other": "1", "out": "1"})], 0.0, 0.0)
    assert list(known.describe()) == ["alpha: other (written after the response)"]
    assert not known.is_blank([action])
