"""What a JVM keeps in /tmp is an information, and hides no other write."""

import shutil
from pathlib import Path

import pytest

from rpw_fixture.hermeticity.findings.codes import Severity
from tests.hermeticity.samples import run, stage

_WRITE = """
def keep_performance_data():
    folder = "/tmp/hsperfdata_rpw-test"
    try:
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/{os.getpid()}", "w") as file:
            file.write("data")
    except OSError:
        pass


keep_performance_data()
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("has_other", [False, True], ids=["alone", "beside another file"])
def test_performance_data_is_one_information(tmp_path: Path, has_other: bool) -> None:
    suite = stage(tmp_path / "suite", "good.py")
    worker = suite.parent / "tools" / "good.py"
    other = f"open({str(tmp_path / 'other')!r}, 'w').close()\n" if has_other else ""
    text = worker.read_text().replace(
        "_POLL_SECONDS = 0.005\n", f"_POLL_SECONDS = 0.005\n{_WRITE}{other}"
    )
    worker.write_text(text)
    try:
        report = run(suite, "RPW208")
    finally:
        shutil.rmtree("/tmp/hsperfdata_rpw-test", ignore_errors=True)
    information = [each for each in report.findings if each.severity is Severity.INFO]
    (finding,) = information
    assert finding.summary == (
        "the JVM keeps performance data in /tmp/hsperfdata_rpw-test; -XX:-UsePerfData turns that off"
    )
    assert report.has_errors is has_other
    assert all(
        "hsperfdata" not in each.summary for each in report.findings if each not in information
    )
