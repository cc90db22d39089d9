"""Ways to outputs, through symlinks that stay in the input root."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpw_fixture.errors import RequestError
from rpw_fixture.execution import output_lookup
from rpw_fixture.execution.output_lookup import (
    OutputsChangedError,
    OutsideError,
    found_folder,
    kind_at,
    open_output,
)

LINKS = {
    "to": "a/b",
    "up": "a/../a/b",
    "dot": "./a/./b/",
    "over": "up",
    "a/back": "../a/b",
    "file link": "a/file",
    "broken": "a/absent",
    "self": "self",
    "out": "../../..",
    "absolute out": "/etc",
    "beside": "{root}-other",
    "absolute": "{root}/a/b",
    "a/b/top": "{root}",
    "root itself": ".",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("outputs") / "root"
    (root / "a/b/c").mkdir(parents=True)
    (root / "a/file").touch()
    (root.parent / "root-other").mkdir()
    for name, target in LINKS.items():
        (root / name).symlink_to(target.format(root=root))
    for number in range(42):
        (root / f"chain{number + 1}").symlink_to(f"chain{number}")
    (root / "chain0").symlink_to("a")
    return root


@pytest.fixture
def root(place: Path) -> Iterator[int]:
    fd = os.open(place, os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    ("path", "end"),
    [
        (".", "."),
        ("a/b", "a/b"),
        ("to", "a/b"),
        ("to/c", "a/b/c"),
        ("up/c", "a/b/c"),
        ("dot", "a/b"),
        ("over/c", "a/b/c"),
        ("a/back/c", "a/b/c"),
        ("absolute/c", "a/b/c"),
        ("a/b/top/a", "a"),
        ("to/top/a/back/c", "a/b/c"),
        ("root itself/a", "a"),
        ("chain39/b", "a/b"),
        ("chain40/b", None),
        ("self", None),
        ("broken", None),
        ("file link", None),
        ("a/file/x", None),
        ("absent", None),
        ("absent/x", None),
        ("x" * 300, None),
    ],
)
def test_a_folder_is_found_through_links_in_the_root(
    path: str, end: str | None, place: Path, root: int
) -> None:
    with found_folder(root, str(place), path) as folder:
        if end is None:
            assert folder is None
        else:
            assert folder is not None
            assert os.path.samestat(os.fstat(folder), (place / end).stat())


@pytest.mark.parametrize("path", ["out", "out/x", "absolute out", "beside"])
def test_a_link_out_of_the_root_is_not_followed(path: str, place: Path, root: int) -> None:
    with pytest.raises(OutsideError), found_folder(root, str(place), path):
        pass


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a/b", "folder"),
        ("to", "folder"),
        ("a/file", "file"),
        ("file link", "file"),
        ("a/file/x", ""),
        ("broken", ""),
        ("out", ""),
        ("self", ""),
        ("chain39", "folder"),
        ("chain40", ""),
    ],
)
def test_what_a_link_leads_to_has_a_kind(path: str, kind: str, place: Path, root: int) -> None:
    assert kind_at(root, str(place), path) == kind


@pytest.mark.parametrize("code", [errno.EACCES, errno.EXDEV, errno.EIO])
def test_other_errors_on_the_way_are_raised(
    code: int, place: Path, root: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_from = 0

    def fail(parent: int, name: str, flags: int) -> int:
        nonlocal fails_from
        if not fails_from:
            raise OSError(code, os.strerror(code))
        fails_from -= 1
        return os.open(name, flags, dir_fd=parent)

    monkeypatch.setattr(output_lookup, "open_beneath", fail)
    for path in ("a", "to"):
        fails_from = 0
        with pytest.raises(OSError, match=os.strerror(code)), found_folder(root, str(place), path):
            pass
    assert kind_at(root, str(place), "a") == ""
    fails_from = 1
    assert kind_at(root, str(place), "a/b") == ""


@pytest.mark.parametrize(
    ("code", "words", "is_changed"),
    [
        (errno.EACCES, "can't be read", False),
        (errno.EXDEV, "'the/path' lies on a file system", False),
        (errno.ENOENT, "removed or replaced", True),
        (errno.ENOTDIR, "removed or replaced", True),
        (errno.ENXIO, "removed or replaced", True),
    ],
)
def test_an_output_that_can_not_be_opened_is_the_actions_fault(
    code: int, words: str, is_changed: bool, root: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(output_lookup, "open_beneath", fail)
    with pytest.raises(RequestError, match=words) as failure:
        open_output(root, "name", os.O_RDONLY, "the/path")
    assert isinstance(failure.value, OutputsChangedError) is is_changed


def test_an_error_of_the_disk_is_no_fault_of_the_action(
    root: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "output error")

    monkeypatch.setattr(output_lookup, "open_beneath", fail)
    with pytest.raises(OSError, match="output error"):
        open_output(root, "name", os.O_RDONLY, "the/path")


def test_a_root_that_was_replaced_is_named_as_such() -> None:
    assert "in the place of its input root" in OutputsChangedError(output_lookup.ROOT).message
    assert "'a' was removed or replaced" in OutputsChangedError("a").message
    assert output_lookup.mounted(output_lookup.ROOT).message.startswith("the input root lies on")
