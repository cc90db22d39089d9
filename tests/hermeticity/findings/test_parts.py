"""The places in which contents differ, by their names, and which of them do not count."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpw_fixture.hermeticity.findings import parts
from rpw_fixture.hermeticity.findings.parts import WHOLE, differing, members, unstable


def zipped(content: dict[str, bytes], *, year: int = 2020, mode: int = 0o644) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in content.items():
            info = zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0))
            info.external_attr = mode << 16
            archive.writestr(info, data)
    return target.getvalue()


def tarred(content: dict[str, bytes | str], *, owner: int = 0, time: int = 5) -> bytes:
    """A tar file; text instead of bytes is the target of a link."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.uid, info.mtime, info.mode = owner, time, 0o644
            if isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
                archive.addfile(info)
            else:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return target.getvalue()


A_TO_I = b"abcdefghi"
CASES: dict[str, tuple[bytes, bytes, set[str]]] = {
    "equal": (b"a", b"a", set()),
    "a word": (b"a b\nc d\n", b"a b\nc e\n", {"line 2, word 3"}),
    "the first word": (b"a b\n", b"c b\n", {"line 1, word 1"}),
    "a blank": (b"a b\n", b"a  b\n", {"line 1, word 2"}),
    "punctuation": (b"a=b", b"a:b", {"line 1, word 2"}),
    "two words": (b"a b c", b"x b z", {"line 1, word 1", "line 1, word 5"}),
    "more words": (b"a b", b"a b c", {"line 1"}),
    "another order of words": (b"a b c", b"c b a", {"line 1, order of words"}),
    "another order of lines": (b"a\nb\nc\n", b"c\na\nb\n", {"order of lines"}),
    "one line more": (b"a\nb\n", b"a\nx\nb\n", {"lines from 2"}),
    "one line less": (b"a\nb\nc\n", b"a\nc\n", {"lines from 2"}),
    "a line more and another one": (
        b"a\nb\nc\nd\n",
        b"a\nx\nc\nd\ne\n",
        {"line 2, word 1", "lines from 5"},
    ),
    "an end of line less": (b"a\nb\n", b"a\nb", {"lines from 3"}),
    "bytes of a block": (b"\0" + A_TO_I, b"\0" + b"x" + A_TO_I[1:], {"bytes 0–7"}),
    "bytes of two blocks": (
        b"\0" * 17,
        b"\0" * 7 + b"\1\1" + b"\0" * 8,
        {"bytes 0–7", "bytes 8–15"},
    ),
    "bytes of the last block": (b"\0" * 17, b"\0" * 16 + b"\1", {"bytes 16–23"}),
    "bytes beyond a page": (b"\0" * 9000, b"\0" * 4096 + b"\1" + b"\0" * 4903, {"bytes 4096–4103"}),
    "the last byte of a page": (
        b"\0" * 9000,
        b"\0" * 4095 + b"\1" + b"\0" * 4904,
        {"bytes 4088–4095"},
    ),
    "more bytes": (b"\0", b"\0\0", {WHOLE}),
    "text and bytes": (b"a\xff", b"ab", {"bytes 0–7"}),
    "bytes and text": (b"ab", b"a\xff", {"bytes 0–7"}),
    "a member": (zipped({"a": b"x y"}), zipped({"a": b"x z"}), {"member a, line 1, word 3"}),
    "a member more": (zipped({"a": b""}), zipped({"a": b"", "b": b""}), {"member b"}),
    "a member less": (zipped({"a": b"", "b": b""}), zipped({"b": b""}), {"member a"}),
    "members in another order": (
        zipped({"a": b"", "b": b""}),
        zipped({"b": b"", "a": b""}),
        {"order of members"},
    ),
    "a member's time": (
        zipped({"a": b""}),
        zipped({"a": b""}, year=2021),
        {"member a, time or mode"},
    ),
    "a member's mode": (
        zipped({"a": b""}),
        zipped({"a": b""}, mode=0o755),
        {"member a, time or mode"},
    ),
    "a name with commas": (
        zipped({"a, b": b"x"}),
        zipped({"a, b": b"y"}),
        {"member a,b, line 1, word 1"},
    ),
    "outside of members": (
        zipped({"a": b""}),
        zipped({"a": b""}) + b"more",
        {"outside of members"},
    ),
    "an archive in an archive": (
        zipped({"in": zipped({"a": b"x"})}),
        zipped({"in": zipped({"a": b"y"})}),
        {"member in, member a, line 1, word 1"},
    ),
    "an owner": (tarred({"a": b"x"}), tarred({"a": b"x"}, owner=7), {"member a, time or mode"}),
    "a time": (tarred({"a": b"x"}), tarred({"a": b"x"}, time=7), {"member a, time or mode"}),
    "a link": (tarred({"a": "x"}), tarred({"a": "y"}), {"member a, time or mode"}),
    "a file in a tar file": (
        tarred({"a": b"x", "b": b""}),
        tarred({"a": b"y", "b": b""}),
        {"member a, line 1, word 1"},
    ),
    "a member in bytes": (
        zipped({"a": b"\0\0"}),
        zipped({"a": b"\0\1"}),
        {"member a, bytes 0–7"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_difference_is_named_by_its_place(case: str) -> None:
    before, after, expected = CASES[case]
    assert differing(before, after) == expected


@pytest.mark.parametrize("case", [each for each in CASES if "lines" not in each])
def test_what_is_ignored_does_not_differ(case: str) -> None:
    before, after, expected = CASES[case]
    for each in expected:
        assert differing(before, after, frozenset({each})) == expected - {each}
        around = each.partition(", ")[0]
        assert not any(
            part == around or part.startswith(f"{around}, ")
            for part in differing(before, after, frozenset({around}))
        )
    assert differing(before, after, frozenset({WHOLE})) == set()


def test_lines_whose_order_does_not_count_are_compared_in_an_order() -> None:
    ignored = frozenset({"order of lines"})
    assert differing(b"a\nb\n", b"b\na\n", ignored) == set()
    assert differing(b"b\na\n", b"c\na\n", ignored) == {"sorted line 3, word 1"}
    both = ignored | {"sorted line 3, word 1"}
    assert differing(b"b\na\n", b"c\na\n", both) == set()


def test_what_does_not_count_in_a_member_is_no_difference_outside_of_members() -> None:
    in_member = frozenset({"member a, order of lines"})
    archives = zipped({"a": b"a\nb\n"}), zipped({"a": b"b\na\n"})
    assert differing(*archives, in_member) == set()
    assert differing(*archives, frozenset({"member b, order of lines"})) == {
        "member a, order of lines"
    }


def test_a_part_is_covered_by_those_around_it_only() -> None:
    archives = zipped({"a": b"x y", "ab": b"x y"}), zipped({"a": b"x z", "ab": b"x z"})
    assert differing(*archives, frozenset({"member a"})) == {"member ab, line 1, word 3"}
    assert len(differing(*archives, frozenset({"member a, line 1, word 1", "line 1"}))) == 2


def test_archives_are_opened_to_a_depth() -> None:
    one, other = b"x", b"y"
    for name in ("d", "c", "b"):
        one, other = zipped({name: one}), zipped({name: other})
    assert differing(one, other) == {"member b, member c, member d, line 1, word 1"}
    one, other = zipped({"a": one}), zipped({"a": other})
    found = differing(one, other)
    assert found
    assert all(each.startswith("member a, member b, member c, bytes ") for each in found)


@pytest.mark.parametrize(("lines", "aligned"), [(1999, True), (2000, False)])
def test_texts_of_many_lines_are_not_aligned(lines: int, aligned: bool) -> None:
    before = "".join(f"{number}\n" for number in range(lines - 1))
    after = f"new\n{before}"
    expected = {"lines from 1"} if aligned else {WHOLE}
    assert differing(before.encode(), after.encode()) == expected
    assert differing(after.encode(), before.encode()) == expected


@pytest.mark.parametrize(("count", "is_told"), [(2000, True), (2001, False)])
def test_so_many_parts_are_distinguished(count: int, is_told: bool) -> None:
    before, after = (word * count for word in (b"a\n", b"b\n"))
    found = differing(before, after)
    assert len(found) == (count if is_told else 1)
    assert (WHOLE in found) is not is_told
    blocks = differing(b"\0" * 8 * count, b"\1" * 8 * count)
    assert (len(blocks) == count) is is_told


def test_contents_beyond_eight_mebibytes_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parts._MAX_BYTES == 8 << 20
    monkeypatch.setattr(parts, "_MAX_BYTES", 16)
    most = bytes(16)
    assert differing(most, b"\1" + most[1:]) == {"bytes 0–7"}
    assert differing(most + b"\0", most + b"\1") == {WHOLE}
    assert differing(b"", b"a" * 17) == {WHOLE}
    assert differing(b"", b"a" * 16) == {"line 1"}


@settings(max_examples=50)
@given(before=st.binary(max_size=40), after=st.binary(max_size=40))
def test_contents_differ_when_they_are_not_equal_and_what_differs_can_be_ignored(
    before: bytes, after: bytes
) -> None:
    found = differing(before, after)
    assert bool(found) is (before != after)
    left = differing(before, after, found)
    assert all(each.startswith("sorted ") for each in left)
    assert differing(before, after, found | left) == set()


# --- repetitions ---


def test_parts_that_differ_between_repetitions_are_unstable() -> None:
    assert unstable([b"a 1\n"]) == set()
    assert unstable([b"a 1\n"] * 3) == set()
    assert unstable([b"a 1 x\n", b"a 2 x\n", b"a 3 x\n"]) == {"line 1, word 3"}
    assert unstable([b"a 1 x\n", b"a 2 x\n", b"a 3 y\n"]) == {"line 1, word 3", "line 1, word 5"}
    assert unstable([b"a b\n", b"b a\n"]) == {"line 1, order of words"}


def test_what_differs_in_ever_more_places_is_unstable_as_a_whole() -> None:
    assert unstable([b"a b c", b"x b c", b"x y z"]) == {WHOLE}
    assert unstable([b"a b c", b"x y z"]) == {f"line 1, word {number}" for number in (1, 3, 5)}


def test_lines_in_any_order_are_compared_in_one() -> None:
    assert unstable([b"a\nb\n", b"b\na\n", b"a\nb\n"]) == {"order of lines"}
    found = unstable([b"a\nb\n", b"b\na\n", b"c\na\n"])
    assert found == {"order of lines", "sorted line 3, word 1"}


# --- archives ---


def test_members_are_read_with_what_is_said_of_them() -> None:
    assert members(zipped({"a": b"x"}, mode=0o755)) == {
        "a": parts.Member("time 2020-1-1-0-0-0, mode 755", b"x")
    }
    assert members(tarred({"a": b"x", "b": "a"}, owner=3)) == {
        "a": parts.Member("time 5, mode 644, owner 3:0", b"x"),
        "b": parts.Member("time 5, mode 644, owner 3:0a", b""),
    }
    assert members(zipped({})) == {}
    assert members(bytes(10240)) is None  # of zeros only


@pytest.mark.parametrize(
    "data", [b"", b"PK", b"PK\x03\x04 torn", b"text", b"#!/bin/sh\n" + zipped({"a": b"x"})]
)
def test_what_is_no_archive_has_no_members(data: bytes) -> None:
    assert members(data) is None


def test_an_encrypted_or_torn_archive_is_none() -> None:
    whole = zipped({"a": b"content"})
    assert members(whole[:-30]) is None
    encrypted = bytearray(whole)
    for at in (6, whole.index(b"PK\x01\x02") + 8):
        encrypted[at] |= 1
    assert members(bytes(encrypted)) is None
    damaged = whole.replace(b"content", b"changed")
    assert members(damaged) is None
