"""Well-behaved workers stay clean, whatever the seed."""

import os
from pathlib import Path

import pytest

from rpw_fixture.hermeticity.findings import Status

from .samples import run, stage

SEEDS = range(10) if os.environ.get("RPW_FIXTURE_LONG") == "1" else range(1)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("arguments", [(), ("--worker_protocol=json",)], ids=["proto", "json"])
def test_a_worker_with_a_content_keyed_cache_is_clean(
    tmp_path: Path, seed: int, arguments: tuple[str, ...]
) -> None:
    worker = 'protocol = "json"' if arguments else ""
    suite = stage(tmp_path / "s", "good.py", *arguments, worker=worker, with_failure=True)
    report = run(suite, seed=seed)
    assert report.findings == ()
    skipped = {each.code for each in report.checks if each.status is Status.SKIPPED}
    assert skipped <= {"RPW110", "RPW111", "RPW213", "RPW402", "RPW403", "RPW207", "RPW208"}


@pytest.mark.parametrize("sandbox", ["", "sandbox = true"], ids=["shared root", "sandboxes"])
def test_a_multiplex_worker_is_clean(tmp_path: Path, sandbox: str) -> None:
    worker = f"multiplex = true\ncancellation = true\n{sandbox}"
    suite = stage(tmp_path / "suite", "multiplex.py", worker=worker)
    report = run(suite, "RPW110,RPW111,RPW213,RPW202")
    assert report.findings == ()
    assert {each.status for each in report.checks} == {Status.PASSED}


def test_a_worker_that_warms_up_and_then_stays_flat_is_clean(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "good.py", headers=["alpha"])
    worker = suite.parent / "tools" / "good.py"
    text = worker.read_text()
    grow = "\n    warm.extend([b'x' * 100_000] * (len(warm) < 40))\n"
    text = text.replace("    options = Options(request", f"{grow}    options = Options(request")
    worker.write_text(text.replace("_CACHE_ENTRIES = 256", "_CACHE_ENTRIES = 256\nwarm = []"))
    assert run(suite, "RPW301,RPW302,RPW303,RPW304").findings == ()
