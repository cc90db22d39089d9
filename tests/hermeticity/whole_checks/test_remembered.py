"""A second check runs only what has changed, and reports the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture.__main__ import main
from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.findings.codes import expand
from rpw_fixture.hermeticity.findings.report import Report
from rpw_fixture.hermeticity.suites.suite_file import load
from tests.hermeticity.samples import codes, stage

SELECTED = "RPW106,RPW201,RPW202,RPW205,RPW207,RPW211,RPW401"
_COUNTS = ("worker_starts", "requests", "seconds", "trials", "trials_run")


def remembered(suite: Path, cache: Path | None, select: str = SELECTED) -> Report:
    selected = expand(select)
    options = Options(selected=selected, cache=cache, eof_patience=1.0, pause=0.0)
    return check(load(suite), options)


def without_counts(report: Report) -> dict[str, Any]:
    return {name: value for name, value in report.as_dict().items() if name not in _COUNTS}


_known: list[tuple[Path, Path, Report]] = []


@pytest.fixture
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Report]:
    """A suite, a folder that remembers its results, and its first report; made once.

    Not by a fixture of the module, because those have another PATH, which is part of the question.
    """
    if not _known:
        folder = tmp_path_factory.mktemp("remembered")
        suite = stage(folder / "suite", "good.py", with_failure=True)
        _known.append((suite, folder / "cache", remembered(suite, folder / "cache")))
    return _known[0]


def test_an_unchanged_suite_needs_no_worker(known: tuple[Path, Path, Report]) -> None:
    suite, cache, first = known
    second = remembered(suite, cache)
    assert first.trials.run == first.trials.all > 0
    assert second.trials.run == second.worker_starts == second.requests == 0
    assert without_counts(second) == without_counts(first)
    words = f"0 of {first.trials.all} trials run; the results of the others are remembered"
    assert second.trials.in_words() == f"{words} (--cache {cache})"


def test_one_changed_input_costs_only_what_depends_on_it(
    known: tuple[Path, Path, Report],
) -> None:
    suite, cache, _ = known
    source = suite.parent / "src" / "beta.txt"
    before = source.read_text()
    try:
        source.write_text("another text of beta\n")
        second = remembered(suite, cache)
    finally:
        source.write_text(before)
    assert 0 < second.trials.run < second.trials.all
    assert second.findings == ()
    assert remembered(suite, cache).trials.run == 0


def test_damage_costs_a_run_and_nothing_else(known: tuple[Path, Path, Report]) -> None:
    suite, cache, first = known
    for path in (cache / "check-results-1" / "results").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-5])
    second = remembered(suite, cache)
    assert second.trials.run == second.trials.all
    assert without_counts(second) == without_counts(first)
    for path in (cache / "check-results-1" / "blobs").rglob("*"):
        if path.is_file():
            path.unlink()
    third = remembered(suite, cache)
    assert third.trials.run > 0
    assert without_counts(third) == without_counts(first)


def test_a_finding_is_confirmed_by_a_run_of_now(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "leaky.py")
    first = remembered(suite, tmp_path / "cache", "RPW202")
    second = remembered(suite, tmp_path / "cache", "RPW202")
    assert codes(first) == {"RPW202"}
    assert without_counts(second) == without_counts(first)
    assert 0 < second.trials.run < first.trials.run


def test_a_bug_that_is_gone_is_not_reported_from_memory(tmp_path: Path) -> None:
    """The worker reads a file that nobody declared, so nothing shows that it has changed."""
    suite = stage(tmp_path / "suite", "leaky.py")
    switch = tmp_path / "fixed"
    worker = suite.parent / "tools" / "leaky.py"
    where = f"__import__('os').path.exists('/'.join({str(switch).split('/')!r}))"
    text = worker.read_text().replace("    if header:", f"    if header and not {where}:")
    worker.write_text(text)
    assert codes(remembered(suite, tmp_path / "cache", "RPW202")) == {"RPW202"}
    switch.write_text("")
    assert codes(remembered(suite, tmp_path / "cache", "RPW202")) == set()


def test_results_that_follow_the_path_are_not_remembered(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "path_in_output.py")
    first = remembered(suite, tmp_path / "cache", "RPW202,RPW210")
    second = remembered(suite, tmp_path / "cache", "RPW202,RPW210")
    assert codes(first) == codes(second) == {"RPW210"}
    assert second.worker_starts > 0


def test_a_folder_that_cannot_be_used_only_costs_time(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "good.py")
    (tmp_path / "file").write_text("")
    report = remembered(suite, tmp_path / "file" / "cache", "RPW201")
    assert report.findings == ()
    assert report.trials.run == report.trials.all > 0
    assert report.trials.in_words().startswith("results of trials are not remembered: ")


def test_the_command_line_names_the_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = str(stage(tmp_path / "suite", "good.py", headers=["alpha"]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.delenv("RPW_FIXTURE_CACHE")
    arguments = ["check", suite, "--select", "RPW201"]
    assert main(arguments) == 0
    assert "run (--cache " in capsys.readouterr().out
    assert (tmp_path / "caches" / "rpw_fixture" / "check" / "CACHEDIR.TAG").exists()
    assert main([*arguments, "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["trials_run"] == 0 < report["trials"]
    assert main([*arguments, "--cache", "none"]) == 0
    assert "trials" not in capsys.readouterr().out
    assert main([*arguments, "--cache", ""]) == 2
    assert "--cache: name a folder, or none" in capsys.readouterr().err
