"""Differences of contents as values: lines, bytes, members."""

from __future__ import annotations

import io
import zipfile

from rpw_fixture.hermeticity.findings.contents import Difference, compare

LABELS = ("fresh worker", "after the polluters")
BINARY = bytes(range(256)) * 4


def archive(members: dict[str, bytes], year: int = 2020) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), content)
    return target.getvalue()


def differ(before: bytes, after: bytes) -> Difference:
    return compare("out", before, after, LABELS)


def test_texts_differ_in_lines() -> None:
    found = differ(b"one\ntwo\nthree\n", b"one\n2\nthree\n")
    assert found.lines[:2] == ("--- fresh worker", "+++ after the polluters")
    assert found.lines[3:] == (" one", "-two", "+2", " three")
    assert found.sizes == (14, 12)
    assert not found.rows
    assert not found.members


def test_bytes_differ_in_rows_with_their_neighbours() -> None:
    after = BINARY[:100] + b"!" + BINARY[101:]
    found = differ(BINARY, after)
    assert [each.at for each in found.rows] == [80, 96, 112]
    assert found.rows[1].left == BINARY[96:112]
    assert found.rows[1].right == after[96:112]
    assert found.rows[0].left == found.rows[0].right
    assert found.as_dict()["rows"][1] == [96, BINARY[96:112].hex(), after[96:112].hex()]  # type: ignore[index]


def test_a_shorter_content_ends_within_a_row() -> None:
    found = differ(b"\0" * 20, b"\0" * 24)
    assert [(each.at, len(each.left), len(each.right)) for each in found.rows] == [
        (0, 16, 16),
        (16, 4, 8),
    ]
    assert differ(b"", b"\0\xff").rows[0].left == b""


def test_many_rows_are_cut_and_counted() -> None:
    found = differ(b"\0" * 16 * 1000, b"\1" * 16 * 1000)
    assert len(found.rows) == 24
    assert found.more == 1000 - 24


def test_texts_whose_line_ends_differ_are_shown_as_bytes() -> None:
    found = differ(b"one\ntwo\n", b"one\r\ntwo\r\n")
    assert not found.lines
    assert found.rows


def test_archives_differ_in_members() -> None:
    before = archive({"same": b"s", "text": b"a\n", "gone": b"123"})
    after = archive({"same": b"s", "text": b"b\n", "new": b"4567"})
    found = differ(before, after)
    members = {each.name: each for each in found.members}
    assert members["same"].difference is None
    assert members["text"].difference is not None
    assert members["text"].difference.lines[3:] == ("-a", "+b")
    assert members["gone"].sizes == (3, None)
    assert members["new"].sizes == (None, 4)
    assert found.members[-1].name == "same", "what differs comes first"


def test_times_of_members_are_shown_on_both_sides() -> None:
    found = differ(archive({"a": b"x"}, 2020), archive({"a": b"x"}, 2021))
    (member,) = found.members
    assert member.about == ("time 2020-1-1-0-0-0, mode 600", "time 2021-1-1-0-0-0, mode 600")
    assert "about" in found.as_dict()["members"][0]  # type: ignore[index]


def test_archives_within_archives_are_opened() -> None:
    inner = archive({"text": b"a\n"}), archive({"text": b"b\n"})
    found = differ(archive({"inner.jar": inner[0]}), archive({"inner.jar": inner[1]}))
    (member,) = found.members
    assert member.difference is not None
    assert [each.name for each in member.difference.members] == ["text"]


def test_archives_with_equal_members_are_shown_as_bytes() -> None:
    one, other = archive({"a": b"x", "b": b"y"}), archive({"b": b"y", "a": b"x"})
    assert not differ(one, other).members
    assert differ(one, other).rows


def test_many_members_are_cut_and_counted() -> None:
    one = {f"member{number}": b"a" for number in range(60)}
    found = differ(archive(one), archive(dict.fromkeys(one, b"b")))
    assert len(found.members) == 40
    assert found.more == 20
