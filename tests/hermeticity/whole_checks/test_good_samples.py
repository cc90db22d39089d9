"""Well-behaved workers stay clean, whatever the seed: one of them, or ten with RPW_FIXTURE_LONG=1."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from rpw_fixture.hermeticity.findings.report import Report, Status
from rpw_fixture.hermeticity.trials.harness import Harness
from rpw_fixture.hermeticity.trials.trial import Result, Trial
from tests.hermeticity.sample_languages import build_jar, stage_java, stage_node
from tests.hermeticity.samples import require_program, run, stage

IS_LONG = os.environ.get("RPW_FIXTURE_LONG") == "1"
SEEDS = range(10 if IS_LONG else 1)
#: For workers that take long to start, unless there is time.
SOME = "RPW101,RPW102,RPW103,RPW104,RPW105,RPW107,RPW111,RPW113,RPW117,RPW118,RPW202,RPW203,RPW211,RPW213"
RECORDED = {"RPW402", "RPW403"}
SIX = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")
OVERLAPPING = {"RPW110", "RPW111", "RPW116", "RPW117", "RPW213"}
JSON_ONLY = {"RPW114", "RPW115"}
#: Skipped on machines without Landlock and strace.
ACCESS = {"RPW207", "RPW208"}

pytestmark = pytest.mark.parametrize("seed", SEEDS)


def assert_clean(report: Report, may_skip: set[str]) -> None:
    assert report.findings == ()
    skipped = {each.code for each in report.checks if each.status is Status.SKIPPED}
    assert skipped <= RECORDED | ACCESS | may_skip


@pytest.fixture
def in_vain(monkeypatch: pytest.MonkeyPatch) -> list[Trial]:
    """The trials that were begun and have not been asked for."""
    left: list[Trial] = []
    ahead, aside, run = Harness.begin_ahead, Harness.begin, Harness.run

    def begin_ahead(harness: Harness, trials: Iterable[Trial]) -> None:
        left.extend(begun := list(trials))
        ahead(harness, begun)

    def begin(harness: Harness, trial: Trial) -> None:
        left.append(trial)
        aside(harness, trial)

    def ask(harness: Harness, trial: Trial) -> Result:
        left[:] = [each for each in left if each != trial]
        return run(harness, trial)

    monkeypatch.setattr(Harness, "begin_ahead", begin_ahead)
    monkeypatch.setattr(Harness, "begin", begin)
    monkeypatch.setattr(Harness, "run", ask)
    return left


@pytest.mark.parametrize("protocol", ["proto", "json"])
def test_a_worker_with_a_content_keyed_cache_is_clean(
    tmp_path: Path, seed: int, protocol: str, in_vain: list[Trial]
) -> None:
    arguments = "good.py", f"--worker_protocol={protocol}"
    worker = f'protocol = "{protocol}"'
    headers = SIX if protocol == "proto" else SIX[:2]
    suite = stage(tmp_path / "s", *arguments, worker=worker, headers=headers, with_failure=True)
    report = run(suite, seed=seed)
    assert_clean(report, OVERLAPPING | (JSON_ONLY if protocol == "proto" else set()))
    # Cold starts are what takes time. Where the clock moves to another minute, there are some more.
    assert report.worker_starts < 60
    assert in_vain == []


@pytest.mark.parametrize("sandbox", ["", "sandbox = true"], ids=["shared root", "sandboxes"])
def test_a_multiplex_worker_is_clean(tmp_path: Path, seed: int, sandbox: str) -> None:
    worker = f"multiplex = true\ncancellation = true\n{sandbox}"
    suite = stage(tmp_path / "suite", "multiplex.py", worker=worker)
    assert_clean(run(suite, seed=seed), JSON_ONLY if sandbox else JSON_ONLY | {"RPW116"})


def test_a_worker_that_warms_up_and_then_stays_flat_is_clean(tmp_path: Path, seed: int) -> None:
    suite = stage(tmp_path / "suite", "good.py", headers=["alpha"])
    worker = suite.parent / "tools" / "good.py"
    text = worker.read_text()
    grow = "\n    warm.extend([b'x' * 100_000] * (len(warm) < 40))\n"
    text = text.replace("    options = Options(request", f"{grow}    options = Options(request")
    worker.write_text(text.replace("_CACHE_ENTRIES = 256", "_CACHE_ENTRIES = 256\nwarm = []"))
    assert run(suite, "RPW301,RPW302,RPW303,RPW304", seed).findings == ()


def test_a_worker_that_trusts_honest_digests_is_clean(tmp_path: Path, seed: int) -> None:
    suite = stage(tmp_path / "suite", "decodes_digests.py")
    worker = suite.parent / "tools" / "decodes_digests.py"
    old = "bytes.fromhex(request.inputs[path].decode())"
    text = worker.read_text().replace(old, "(path, request.inputs[path])")
    unless_empty = "if not request.inputs.get(path):"
    worker.write_text(text.replace("if path not in request.inputs:", unless_empty))
    assert_clean(run(suite, seed=seed), OVERLAPPING | JSON_ONLY)


def test_the_node_worker_is_clean(tmp_path: Path, seed: int) -> None:
    require_program("node")
    assert_clean(run(stage_node(tmp_path / "suite"), seed=seed), OVERLAPPING)


@pytest.mark.parametrize("switches", ["multiplex = true", ""] if IS_LONG else ["multiplex = true"])
def test_the_java_worker_is_clean(tmp_path: Path, jar: Path, seed: int, switches: str) -> None:
    suite = stage_java(tmp_path / "suite", jar, switches)
    report = run(suite, "" if IS_LONG else SOME, seed)
    assert_clean(report, (OVERLAPPING if not switches else {"RPW110", "RPW116"}) | JSON_ONLY)


@pytest.fixture(scope="module")
def jar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_program("javac")
    return build_jar(tmp_path_factory.mktemp("java"))
