from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.wire import trees
from rpw_fixture.wire.digests import SHA256, Digest, message_of
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.wire.trees import FileEntry, Folder, FolderDecoder, SymlinkEntry, check_name

CONTENT = SHA256.of(b"content")


def nobody(digest: Digest) -> Folder:
    pytest.fail(f"asked for {digest}")


def decode(
    message: reapi.Directory | bytes, child: Callable[[Digest], Folder | None] = nobody
) -> Folder:
    data = message if isinstance(message, bytes) else message.SerializeToString()
    return FolderDecoder(SHA256).decode(SHA256.of(data), data, child)


def refused(message: reapi.Directory | bytes) -> str:
    with pytest.raises(RequestError) as caught:
        decode(message, lambda _digest: Folder(CONTENT, {}, {}, {}))
    assert caught.value.code is Code.INVALID_ARGUMENT
    return caught.value.message


def with_entry(kind: str, *names: str) -> reapi.Directory:
    message = reapi.Directory()
    for name in names:
        if kind == "symlinks":
            message.symlinks.add(name=name, target="t")
        else:
            getattr(message, kind).add(name=name, digest=message_of(CONTENT))
    return message


def sample() -> Folder:
    """a.txt, bin/tool (marked, executable), bin/deep/link -> ../x."""
    deep = reapi.Directory()
    deep.symlinks.add(name="link", target="../x")
    middle = reapi.Directory()
    tool = middle.files.add(name="tool", digest=message_of(CONTENT), is_executable=True)
    tool.node_properties.properties.add(name="bazel_tool_input")
    middle.directories.add(name="deep", digest=message_of(SHA256.of(deep.SerializeToString())))
    top = reapi.Directory()
    top.files.add(name="a.txt", digest=message_of(CONTENT))
    top.directories.add(name="bin", digest=message_of(SHA256.of(middle.SerializeToString())))
    return decode(top, lambda _: decode(middle, lambda _: decode(deep)))


# --- what a folder is ---


def test_a_tree_tells_its_files_folders_and_symlinks_with_their_counts() -> None:
    root = sample()

    assert root.files == {"a.txt": FileEntry(digest=CONTENT, is_executable=False, is_marked=False)}
    assert root.folders["bin"].files == {
        "tool": FileEntry(digest=CONTENT, is_executable=True, is_marked=True)
    }
    assert (root.count, root.file_count, root.depth) == (5, 2, 3)
    assert list(root.walk()) == [
        ("a.txt", root.files["a.txt"]),
        ("bin/tool", root.folders["bin"].files["tool"]),
    ]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("", Folder),
        ("a.txt", FileEntry),
        ("bin", Folder),
        ("bin/tool", FileEntry),
        ("bin/deep", Folder),
        ("bin/deep/link", SymlinkEntry),
        ("b", type(None)),
        ("a.txt/x", type(None)),
        ("bin/deep/link/x", type(None)),
        ("bin/x/y", type(None)),
        ("..", type(None)),
        ("/a.txt", type(None)),
        ("./a.txt", type(None)),
    ],
)
def test_find_goes_by_names_and_follows_no_symlink(path: str, kind: type) -> None:
    assert isinstance(sample().find(path), kind)


def test_an_empty_directory_is_an_empty_folder() -> None:
    folder = decode(b"")

    assert (folder.count, folder.file_count, folder.depth) == (0, 0, 1)
    assert folder.find("") is folder


def test_a_mark_counts_whatever_its_value_and_whatever_stands_beside_it() -> None:
    message = reapi.Directory()
    marked = message.files.add(name="a", digest=message_of(CONTENT))
    marked.node_properties.properties.add(name="other", value="x")
    marked.node_properties.properties.add(name="bazel_tool_input", value="anything")
    plain = message.files.add(name="b", digest=message_of(CONTENT))
    plain.node_properties.properties.add(name="other", value="bazel_tool_input")
    plain.node_properties.unix_mode.value = 0o644
    link = message.symlinks.add(name="c", target="a")
    link.node_properties.properties.add(name="bazel_tool_input")
    folder = decode(message)

    assert folder.files["a"].is_marked
    assert not folder.files["b"].is_marked
    assert folder.symlinks["c"].is_marked


def test_a_missing_child_is_left_out() -> None:
    message = with_entry("directories", "gone", "there")
    there = Folder(CONTENT, {}, {}, {})
    answers = iter([None, there])

    assert decode(message, lambda _: next(answers)).folders == {"there": there}


# --- hostile content ---

HOSTILE = [
    "",
    ".",
    "..",
    "a/b",
    "/",
    "/etc/passwd",
    "../x",
    "a/",
    "nul\0",
    "\0",
    "x" * 256,
    "x" * 10_000,
    "é" * 128,
]


@pytest.mark.parametrize("kind", ["files", "directories", "symlinks"])
@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: repr(name[:12]))
def test_a_name_that_can_leave_the_folder_or_not_exist_is_refused(kind: str, name: str) -> None:
    message = refused(with_entry(kind, name))

    assert len(message) < 400


@pytest.mark.parametrize(
    "name", ["...", " ", "\n", "-rf", "~", "x" * 255, "é" * 127, "\\", "a:b", "\x7f", "*", "\u202e"]
)
def test_a_strange_but_possible_name_is_accepted(name: str) -> None:
    check_name(name, "the test")

    assert name in decode(with_entry("files", name)).files


@pytest.mark.parametrize("first", ["files", "directories", "symlinks"])
@pytest.mark.parametrize("second", ["files", "directories", "symlinks"])
def test_a_name_that_stands_twice_is_refused_across_all_kinds(first: str, second: str) -> None:
    message = with_entry(first, "same")
    message.MergeFrom(with_entry(second, "same"))

    assert "'same' is used twice" in refused(message)


def test_names_are_checked_before_any_child_is_loaded() -> None:
    with pytest.raises(RequestError, match="is used twice"):
        decode(with_entry("directories", "same", "same"), nobody)


@pytest.mark.parametrize(
    "data",
    [b"\xff", b"\x0a\x05ab", b"\x0a\x03\x0a\x01\xff", b"\x0a\x05\x0a\x03\xed\xa0\x80", b"text"],
    ids=["no tag", "short", "no UTF-8", "surrogate", "text"],
)
def test_bytes_that_are_no_directory_are_refused(data: bytes) -> None:
    assert "is not a Directory" in refused(data)


@pytest.mark.parametrize(
    "digest",
    [
        reapi.Digest(),
        reapi.Digest(hash="abc", size_bytes=1),
        reapi.Digest(hash=CONTENT.hash.upper(), size_bytes=7),
        reapi.Digest(hash="../" + CONTENT.hash[3:], size_bytes=7),
        reapi.Digest(hash=CONTENT.hash, size_bytes=-1),
        reapi.Digest(hash="x" * 100_000, size_bytes=1),
    ],
    ids=["unset", "short", "upper case", "path", "negative", "endless"],
)
@pytest.mark.parametrize("kind", ["files", "directories"])
def test_a_malformed_digest_is_refused_by_the_name_of_its_node(
    kind: str, digest: reapi.Digest
) -> None:
    message = reapi.Directory()
    getattr(message, kind).add(name="node", digest=digest)
    told = refused(message)

    assert "'node'" in told
    assert len(told) < 400


@pytest.mark.parametrize("target", ["", "a\0b"])
def test_a_symlink_that_can_lead_nowhere_is_refused(target: str) -> None:
    message = reapi.Directory()
    message.symlinks.add(name="link", target=target)

    assert "'link'" in refused(message)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../..", "missing", "link"])
def test_any_other_target_is_kept_verbatim(target: str) -> None:
    message = reapi.Directory()
    message.symlinks.add(name="link", target=target)

    assert decode(message).symlinks["link"].target == target


# --- large trees ---


def test_a_folder_of_20000_files_is_decoded_in_linear_time() -> None:
    message = reapi.Directory()
    for number in range(20_000):
        message.files.add(name=f"file{number:05}", digest=message_of(CONTENT))
    began = time.process_time()
    folder = decode(message)

    assert folder.file_count == 20_000
    assert folder.find("file19999") == folder.files["file19999"]
    assert time.process_time() - began < 10  # quadratic work would take minutes


def test_counts_of_a_tree_that_shares_its_folders_are_exact_however_large() -> None:
    folder = Folder(CONTENT, {"f": FileEntry(CONTENT, False, False)}, {}, {})
    for _ in range(150):
        folder = Folder(CONTENT, {}, {"a": folder, "b": folder}, {})

    assert folder.file_count == 2**150
    assert folder.depth == 151


# --- how it is decoded ---


@pytest.mark.parametrize("length", [1, 10, 20, 62, 100, 127, 128, 200, 255])
def test_a_file_is_the_same_whether_it_was_seen_before_or_not(length: int) -> None:
    message = with_entry("files", "n" * length, "other")
    message.files[0].node_properties.properties.add(name="x", value="v" * (20 * length))
    decoder = FolderDecoder(SHA256)
    first, second = (decoder.decode(CONTENT, message.SerializeToString(), nobody) for _ in range(2))
    assert first.files == second.files == decode(message).files
    assert first.files["other"] is second.files["other"]
    assert list(first.files) == ["n" * length, "other"]


def test_files_behind_folders_and_unknown_fields_count_too() -> None:
    tail = with_entry("files", "late").SerializeToString()
    folder = with_entry("directories", "sub").SerializeToString()
    data = with_entry("files", "early").SerializeToString() + folder + b"\xf8\x01\x05" + tail
    found = decode(data, lambda _digest: Folder(CONTENT, {}, {}, {}))
    assert list(found.files) == ["early", "late"]
    assert list(found.folders) == ["sub"]


def test_a_name_that_stands_twice_is_found_wherever_it_stands() -> None:
    folder = with_entry("directories", "x").SerializeToString()
    file = with_entry("files", "x").SerializeToString()
    assert "is used twice" in refused(file + folder)
    assert "is used twice" in refused(file + with_entry("files", "y").SerializeToString() + file)
    assert "is used twice" in refused(file + with_entry("symlinks", "x").SerializeToString())


@given(st.binary(max_size=60), st.integers(0, 200))
def test_damaged_folders_are_judged_as_protobuf_judges_them(junk: bytes, cut: int) -> None:
    data = (with_entry("files", "a", "b").SerializeToString() + junk)[:cut]
    try:
        expected = reapi.Directory.FromString(data)
    except DecodeError:
        assert "is not a Directory" in refused(data)
        return
    try:
        found = decode(data, lambda _digest: None)
    except RequestError:
        return  # it decodes, but holds a name that none can have, say
    assert list(found.files) == [each.name for each in expected.files]


@pytest.mark.parametrize(
    ("seconds", "nanos", "is_possible"),
    [(0, 0, True), (-1, 0, False), (7, 999_999_999, True), (7, 10**9, False), (7, -1, False),
     (trees._LATEST, 0, True), (trees._LATEST + 1, 0, False)],
)  # fmt: skip
def test_a_time_that_no_file_can_have_is_refused(
    seconds: int, nanos: int, is_possible: bool
) -> None:
    message = with_entry("files", "a")
    message.files[0].node_properties.mtime.seconds = seconds
    message.files[0].node_properties.mtime.nanos = nanos
    if is_possible:
        assert decode(message).files["a"].mtime_ns == seconds * 10**9 + nanos
    else:
        assert "has an mtime that no file can have" in refused(message)


def test_only_permission_bits_of_a_mode_count() -> None:
    message = with_entry("files", "a")
    message.files[0].node_properties.unix_mode.value = 0o104755
    assert decode(message).files["a"].unix_mode == 0o755


def test_a_decoder_that_forgets_decodes_the_same_again() -> None:
    decoder = FolderDecoder(SHA256)
    data = with_entry("files", "a").SerializeToString()
    first = decoder.decode(SHA256.of(data), data, nobody)
    assert len(decoder._files._values) == 1
    decoder.clear()
    assert len(decoder._files._values) == 0
    assert decoder.decode(SHA256.of(data), data, nobody).files == first.files
