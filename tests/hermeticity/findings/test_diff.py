import io
import tarfile
import zipfile

from rpw_fixture.hermeticity.findings.diff import of_bytes

LABELS = ("cold", "warm")


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def tarred(mode: int) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("script")
        member.mode = mode
        archive.addfile(member)
    return file.getvalue()


def test_text_is_shown_as_a_unified_diff() -> None:
    told = of_bytes("out.txt", b"one\ntwo\n", b"one\nthree\n", LABELS)
    assert "--- cold" in told
    assert "-two" in told
    assert "+three" in told


def test_binary_is_reported_by_its_first_differing_byte() -> None:
    told = of_bytes("out.bin", b"\xff\x00\x01", b"\xff\x00\x02", LABELS)
    assert "first difference at byte 2: 01 (cold), 02 (warm)" in told


def test_an_archive_is_reported_member_by_member() -> None:
    told = of_bytes("a.jar", zipped(a=b"1\n", b=b"2\n"), zipped(a=b"1\n", b=b"3\n", c=b""), LABELS)
    assert "a.jar!b:" in told
    assert "a.jar!c: absent (cold), 0 bytes (warm)" in told
    assert "a.jar!a" not in told


def test_archives_in_archives_are_opened() -> None:
    told = of_bytes("a.zip", zipped(x=zipped(y=b"1\n")), zipped(x=zipped(y=b"2\n")), LABELS)
    assert "a.zip!x!y:" in told


def test_modes_in_archives_are_reported() -> None:
    assert "mode 644" in of_bytes("a.tar", tarred(0o644), tarred(0o755), LABELS)


def test_another_order_of_members_is_reported() -> None:
    told = of_bytes("a.zip", zipped(a=b"1", b=b"2"), zipped(b=b"2", a=b"1"), LABELS)
    assert "another order" in told


def test_a_torn_archive_is_reported_as_bytes() -> None:
    assert "first difference at byte" in of_bytes(
        "a.zip", b"PK\x03\x04\xff", b"PK\x03\x05\xff", LABELS
    )
