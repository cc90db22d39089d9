"""Inputs in another order, or of another time: as they are asked for, and placed once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.hermeticity.trials.harness import Harness
from rpw_fixture.hermeticity.trials.run_folder import RunFolder
from rpw_fixture.hermeticity.trials.trial import Variation
from rpw_fixture.hermeticity.trials.worker_setup import WorkerSetup
from rpw_fixture.support.beneath import OwnFolder
from tests.hermeticity.samples import stage

OLD = Variation(factor="input mtimes", input_mtime=1_234_567_890)
REVERSED = Variation(factor="directory order", is_reversed=True, is_order_optional=True)


class Staging:
    """A set-up of the worker good.py, whose actions share two folders, and a folder for it."""

    def __init__(self, harness: Harness, own: OwnFolder) -> None:
        no_spawner: Any = None
        self.actions = harness.suite.actions
        self.setup = WorkerSetup(harness.suite.worker, no_spawner, harness.store)
        self._own = own

    def folder(self, variation: Variation) -> RunFolder:
        return self.setup.prepare(variation, self._own.at("run"))


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Staging]:
    shared = ["src/one/a.txt", "src/two/a.txt"]
    suite = load(stage(tmp_path / "suite", "good.py", shared=shared))
    (tmp_path / "runs").mkdir()
    with Harness(suite) as harness, OwnFolder(str(tmp_path / "runs")) as own:
        yield Staging(harness, own)


def files(folder: RunFolder) -> dict[str, os.stat_result]:
    root = Path(folder.root)
    found = (each for each in root.rglob("*") if each.is_file())
    return {str(each.relative_to(root)): each.stat() for each in found}


def identities(folder: RunFolder) -> dict[str, tuple[int, int]]:
    return {path: (each.st_ino, each.st_ctime_ns) for path, each in files(folder).items()}


@pytest.mark.parametrize("variation", [OLD, REVERSED], ids=["time", "order"])
def test_what_is_staged_stays_in_place_while_the_worker_starts(
    staging: Staging, variation: Variation
) -> None:
    folder = staging.folder(variation)
    staging.setup.stage(staging.actions[0], folder)
    before = identities(folder)
    staging.setup.stage(staging.actions[0], folder)
    assert "src/one/a.txt" in before
    assert identities(folder) == before


def test_all_files_have_the_time_of_the_variation(staging: Staging) -> None:
    folder = staging.folder(OLD)
    for action in staging.actions:
        staging.setup.stage(action, folder)
        found = files(folder)
        assert "tools/good.py" in found
        assert {each.st_mtime for each in found.values()} == {OLD.input_mtime}


def test_each_action_has_its_inputs_in_the_opposite_order(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = staging.folder(REVERSED)
    mkdir, made = os.mkdir, list[str]()

    def noted(name: str, *arguments: Any, **options: Any) -> None:
        made.append(name)
        mkdir(name, *arguments, **options)

    monkeypatch.setattr(os, "mkdir", noted)
    for action in staging.actions:
        staging.setup.stage(action, folder)
        assert [each for each in made if each in {"one", "two"}] == ["two", "one"]
        made.clear()
