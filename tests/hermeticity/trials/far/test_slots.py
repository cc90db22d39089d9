"""The folders of trials on a machine belong to one trial at a time, and are gone afterwards."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from rpw_fixture.hermeticity.trials.far.slots import claimed
from rpw_fixture.hermeticity.trials.trial import UnavailableError


def test_the_same_few_paths_are_used_again(tmp_path: Path) -> None:
    where = str(tmp_path)
    with claimed(is_fixed=False, where=where) as one, claimed(is_fixed=False, where=where) as two:
        assert one != two
        (one / "left").mkdir()
    assert list(tmp_path.iterdir()) == []
    with claimed(is_fixed=False, where=where) as again:
        assert again == one
        assert list(again.iterdir()) == []


def test_what_a_killed_trial_left_is_removed(tmp_path: Path) -> None:
    with claimed(is_fixed=False, where=str(tmp_path)) as first:
        pass
    (first / "root").mkdir(parents=True)
    first.chmod(0o700)
    (first / "root" / "file").write_text("left")
    with claimed(is_fixed=False, where=str(tmp_path)) as again:
        assert again == first
        assert list(again.iterdir()) == []


def test_a_fixed_path_is_waited_for(tmp_path: Path) -> None:
    paths: list[Path] = []

    def claim() -> None:
        with claimed(is_fixed=True, where=str(tmp_path)) as path:
            paths.append(path)

    others = [threading.Thread(target=claim) for _ in range(3)]
    with claimed(is_fixed=True, where=str(tmp_path)) as own:
        for each in others:
            each.start()
        with claimed(is_fixed=False, where=str(tmp_path)) as free:
            assert free != own
        assert paths == []
    for each in others:
        each.join()
    assert paths == [own] * 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "link", "open to others"])
def test_what_another_user_put_there_is_not_used(tmp_path: Path, kind: str) -> None:
    first = tmp_path / f"rpw_fixture-{os.getuid()}-01"
    if kind == "file":
        first.write_text("mine")
    elif kind == "link":
        first.symlink_to(tmp_path)
    else:
        first.mkdir()
        first.chmod(0o777)
    with claimed(is_fixed=False, where=str(tmp_path)) as path:
        assert path.name.endswith("-02")
    assert os.path.lexists(first)


def test_a_machine_without_room_says_so(tmp_path: Path) -> None:
    where = tmp_path / "missing"
    with (
        pytest.raises(UnavailableError, match=r"no folder for trials in .*missing"),
        claimed(is_fixed=False, where=str(where)),
    ):
        pass
