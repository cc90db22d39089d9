"""Cancel requests at all times: at once, in mid-work, and when it is too late."""

from pathlib import Path

import pytest

from tests.hermeticity.samples import run, stage

BOTH = "multiplex = true\ncancellation = true\ntimeout = 2"


def test_a_request_abandoned_in_mid_work_is_reported_with_when_it_was_cancelled(
    tmp_path: Path,
) -> None:
    suite = stage(tmp_path / "suite", "abandons_work.py", worker=BOTH, headers=["alpha"])
    (finding,) = run(suite, "RPW110").findings
    assert finding.summary == "after alpha was cancelled during its work: timeout"


def test_an_answer_to_a_cancel_that_came_too_late_is_found(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "answers_late_cancels.py", worker=BOTH, headers=["alpha"])
    slow_down(suite)
    (finding,) = run(suite, "RPW110").findings
    # Which of the cancels came too late first is up to how busy the machine is.
    assert finding.summary.startswith("after alpha was cancelled ")
    assert ": the worker answered twice" in finding.summary


def test_what_is_written_after_the_answer_to_a_cancel_is_found(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "abandons_work.py", worker=BOTH, headers=["alpha"])
    worker = suite.parent / "tools" / "abandons_work.py"
    careless = (
        "    if request.cancelled:\n"
        "        late = threading.Timer(0.05, open, ('out/late.txt', 'w'))\n"
        "        late.start()\n"
        "        raise rpw_worker.RequestCancelled\n"
    )
    text = worker.read_text()
    abandon = "    if request.cancelled:\n        threading.Event().wait()\n"
    assert abandon in text
    worker.write_text(text.replace(abandon, careless))
    (finding,) = run(suite, "RPW110").findings
    assert finding.summary.endswith("out/late.txt was written after the response")


@pytest.mark.parametrize("script", ["good.py", "multiplex.py"])
@pytest.mark.parametrize("protocol", ["proto", "json"])
def test_a_worker_that_ignores_late_cancels_is_clean(
    tmp_path: Path, script: str, protocol: str
) -> None:
    worker = "cancellation = true" if script == "good.py" else BOTH
    worker += f'\nprotocol = "{protocol}"'
    suite = stage(tmp_path / "suite", script, f"--worker_protocol={protocol}", worker=worker)
    assert run(suite, "RPW110").findings == ()


def slow_down(suite: Path) -> None:
    """Makes requests last, so that cancels sent at once or in mid-work come in time."""
    worker = suite.parent / "tools" / "good.py"
    text = worker.read_text()
    begin = "    options = Options(request.expanded_arguments())\n"
    assert begin in text
    worker.write_text(text.replace(begin, f"    time.sleep(0.2)\n{begin}"))
