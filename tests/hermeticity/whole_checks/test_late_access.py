"""What a worker does with the files of a request after its response (RPW216)."""

from pathlib import Path

import pytest

from rpw_fixture.hermeticity.findings.report import Status
from tests.hermeticity.samples import codes, run, stage
from tests.hermeticity.whole_checks.test_survivors import CACHE, COMPILE, edited, state_of

DONE = "    return WorkResponse()\n"
LATER = "    threading.Timer({seconds}, {call}).start()\n"


def later(folder: Path, call: str, seconds: float = 0.05) -> Path:
    """Return a suite whose tool does something after its response."""
    suite = edited(folder, (CACHE, "import threading\n"))
    tool = suite.parent / "tools" / "good.py"
    text = tool.read_text()
    assert text.count(DONE) == 1
    tool.write_text(text.replace(DONE, LATER.format(seconds=seconds, call=call) + DONE))
    return suite


def test_inputs_that_stay_open_are_named(tmp_path: Path) -> None:
    report = run(stage(tmp_path / "suite", "keeps_open.py"), "RPW206,RPW208,RPW216,RPW302")
    assert codes(report) == {"RPW216"}
    assert {each.summary for each in report.findings} == {
        "alpha keeps files open after the response: src/alpha.txt",
        "beta keeps files open after the response: src/beta.txt",
    }


def test_an_output_that_stays_open_is_named(tmp_path: Path) -> None:
    suite = edited(tmp_path, (CACHE, "_open = []\n"))
    tool = suite.parent / "tools" / "good.py"
    text = tool.read_text()
    tool.write_text(text.replace(DONE, f"    _open[:] = [open(output)]\n{DONE}"))
    (one, other) = run(suite, "RPW216").findings
    assert one.summary.endswith("keeps files open after the response: out/alpha.txt")
    assert other.victim == "beta"


def test_an_input_that_is_read_later_is_named(tmp_path: Path) -> None:
    call = "lambda: open(request.resolve(options.inputs[0])).read()"
    report = run(later(tmp_path, call), "RPW202,RPW216")
    assert codes(report) == {"RPW216"}
    # Of which action is up to the machine, which may be too busy to see one of them in time.
    assert " reads its inputs after the response: src/" in report.findings[0].summary


def test_an_output_that_is_written_after_a_moment_is_named(tmp_path: Path) -> None:
    call = "lambda: os.path.exists(output) and open(output, 'a').close() or os.utime(output)"
    report = run(later(tmp_path, call, seconds=0.1), "RPW216")
    assert codes(report) == {"RPW216"}
    assert "writes its outputs after the response" in report.findings[0].summary


def test_the_rest_of_an_output_that_comes_late_is_the_one_finding(tmp_path: Path) -> None:
    """How much of it is there when it is read is chance, so no difference in it is evidence."""
    suite = later(tmp_path, "lambda: open(output, 'a').write('the end\\n')")
    report = run(suite, "RPW201,RPW202,RPW205,RPW209,RPW211,RPW214,RPW216")
    assert codes(report) == {"RPW216"}
    text = "; ".join(
        f"{name}: out/{name}.txt (written after the response)" for name in ("alpha", "beta")
    )
    left_out = f"left out, because fresh workers differ in it or write it late: {text}"
    assert state_of(report, "RPW202") == ("passed", left_out)


def test_outputs_that_do_not_exist_before_the_response_are_late_and_nothing_else(
    tmp_path: Path,
) -> None:
    write = "write_output(request, options.output, text)"
    suite = edited(tmp_path, (CACHE, "import threading\n"))
    tool = suite.parent / "tools" / "good.py"
    old = write.replace("text", '"\\n".join(parts) + "\\n"')
    new = f"text = {old[len(write) - 5 : -1]}\n    threading.Timer(0.05, lambda: {write}).start()"
    text = tool.read_text()
    assert text.count(old) == 1
    tool.write_text(text.replace(old, new))
    report = run(suite, "RPW208,RPW216")
    assert codes(report) == {"RPW216"}


@pytest.mark.parametrize(
    "habit",
    [
        "threading.Timer(0.03, open(options.inputs[0]).close).start()",  # closed a moment later
        "_open.append(_open or open(__file__))",  # a file of the tool
        "_open.append(_open or open('/etc/hostname'))",
        "_open.append(_open or os.open('src', os.O_RDONLY))",  # a folder
    ],
)
def test_what_well_behaved_workers_keep_open_is_no_finding(tmp_path: Path, habit: str) -> None:
    suite = edited(tmp_path, (CACHE, "import threading\n_open = []\n"))
    tool = suite.parent / "tools" / "good.py"
    tool.write_text(tool.read_text().replace(DONE, f"    {habit}\n{DONE}"))
    report = run(suite, "RPW216")
    assert report.findings == ()
    assert state_of(report, "RPW216")[0] == Status.PASSED


def test_nothing_passes_where_open_files_cannot_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rpw_fixture.hermeticity.trials import late_access

    monkeypatch.setattr(late_access, "why_unavailable", lambda: "no view of open files")
    suite = edited(tmp_path, (COMPILE, "    pass\n"))
    assert state_of(run(suite, "RPW216"), "RPW216") == ("skipped", "no view of open files")
