"""Input that no honest client sends, and machines that lack something, over the wire.

Each gets a precise status or exit code and a message that names the thing, and affects no other
client: afterwards the same server runs an ordinary action on the worker it had.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rpw_fixture.client.action import Action
from rpw_fixture.client.inputs import File
from rpw_fixture.errors import Code, RequestError
from rpw_fixture.events.kinds import InternalError
from rpw_fixture.server import Server
from rpw_fixture.wire.digests import SHA256, Digest
from rpw_fixture.wire.protos import remote_execution as reapi

from .surviving_server import unharmed, worker_action

DEPTH = 10_000


@pytest.fixture
def server() -> Iterator[Server]:
    with unharmed() as server:
        yield server


class Uploads:
    """Blobs that belong to one action, good or bad."""

    def __init__(self) -> None:
        self.blobs: dict[Digest, bytes] = {}

    def add(self, content: object) -> reapi.Digest:
        data = content if isinstance(content, bytes) else content.SerializeToString()  # type: ignore[attr-defined]  # a message of any kind
        digest = SHA256.of(data)
        self.blobs[digest] = data
        return reapi.Digest(hash=digest.hash, size_bytes=digest.size)

    def action(self, command: reapi.Command, root: object = b"") -> Digest:
        message = reapi.Action(command_digest=self.add(command), input_root_digest=self.add(root))
        digest = self.add(message)
        return Digest(digest.hash, digest.size_bytes)


def execute(server: Server, digest: Digest, uploads: Uploads) -> reapi.ExecuteResponse:
    server.client.upload(uploads.blobs)
    (*_, last) = server.client.execute(digest)
    response = reapi.ExecuteResponse()
    assert last.response.Unpack(response)
    assert "Traceback" not in response.status.message
    return response


def chain(uploads: Uploads, depth: int, *, width: int = 1) -> reapi.Directory:
    """A folder with ``width`` times the same folder in it, and so on."""
    folder = reapi.Directory()
    for _ in range(depth):
        digest = uploads.add(folder)
        names = [f"d{number}" for number in range(width)]
        folder = reapi.Directory(
            directories=[reapi.DirectoryNode(name=name, digest=digest) for name in names]
        )
    return folder


NOTHING = reapi.Command(arguments=["/bin/true"])


def test_a_tree_of_ten_thousand_levels_is_refused(server: Server) -> None:
    uploads = Uploads()
    digest = uploads.action(NOTHING, chain(uploads, DEPTH))
    response = execute(server, digest, uploads)
    assert response.status.code == Code.INVALID_ARGUMENT
    assert "200 folders deep" in response.status.message


def test_a_tree_that_doubles_on_every_level_is_refused_at_once(server: Server) -> None:
    uploads = Uploads()
    digest = uploads.action(NOTHING, chain(uploads, 150, width=2))
    response = execute(server, digest, uploads)
    assert response.status.code == Code.RESOURCE_EXHAUSTED
    assert "entries" in response.status.message


def test_a_doubling_tree_with_a_hole_in_it_tells_of_the_hole(server: Server) -> None:
    uploads = Uploads()
    hole = SHA256.of(b"a folder nobody uploads")
    folder = reapi.Directory(
        directories=[
            reapi.DirectoryNode(name="d", digest=reapi.Digest(hash=hole.hash, size_bytes=hole.size))
        ]
    )
    for _ in range(100):
        digest = uploads.add(folder)
        folder = reapi.Directory(
            directories=[reapi.DirectoryNode(name=name, digest=digest) for name in "ab"]
        )
    action = uploads.action(NOTHING, folder)
    response = execute(server, action, uploads)
    assert response.status.code in {Code.FAILED_PRECONDITION, Code.RESOURCE_EXHAUSTED}
    if response.status.code == Code.FAILED_PRECONDITION:
        assert hole.hash in response.status.message


def test_a_folder_with_many_entries_over_the_limit_is_refused() -> None:
    with unharmed(max_input_files=1000) as server:
        uploads = Uploads()
        empty = uploads.add(b"")
        files = [reapi.FileNode(name=f"{number:05}", digest=empty) for number in range(2000)]
        digest = uploads.action(NOTHING, reapi.Directory(files=files))
        response = execute(server, digest, uploads)
        assert response.status.code == Code.RESOURCE_EXHAUSTED
        assert "2000" in response.status.message


@pytest.mark.parametrize(
    ("hash_", "size"),
    [
        ("", 0),
        ("", 5),
        ("ab", 1),
        ("g" * 64, 1),
        ("A" * 64, 1),
        ("0" * 64, -1),
        ("0" * 64, -(1 << 63)),
        ("../../etc/passwd", 1),
        ("0" * 3000, 1),
        ("é" * 32, 1),
    ],
)
def test_a_malformed_digest_is_an_invalid_argument(server: Server, hash_: str, size: int) -> None:
    with pytest.raises(RequestError) as caught:
        list(server.client.execute(Digest(hash_, size)))
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert hash_[:20] in caught.value.message
    assert len(caught.value.message) < 1000
    uploads = Uploads()
    bad = reapi.Digest(hash=hash_, size_bytes=size)
    message = reapi.Action(command_digest=uploads.add(NOTHING), input_root_digest=bad)
    digest = uploads.add(message)
    response = execute(server, Digest(digest.hash, digest.size_bytes), uploads)
    assert response.status.code == Code.INVALID_ARGUMENT
    assert "input_root_digest" in response.status.message


@pytest.mark.parametrize("size", [0, 7, (1 << 63) - 1])
def test_the_right_hash_with_a_wrong_size_is_missing(server: Server, size: int) -> None:
    uploads = Uploads()
    digest = uploads.action(NOTHING)
    server.client.upload(uploads.blobs)
    with pytest.raises(RequestError) as caught:
        list(server.client.execute(Digest(digest.hash, size)))
    assert caught.value.code is Code.FAILED_PRECONDITION
    assert f"{digest.hash}/{size}" in caught.value.message


def test_a_message_of_another_kind_is_refused_or_runs_nothing(server: Server) -> None:
    """A Command in the place of a Directory, and so on; some bytes are both."""
    uploads = Uploads()
    command = reapi.Command(arguments=["no/such/program"], working_directory="sub")
    folder = reapi.Directory(files=[reapi.FileNode(name="f", digest=uploads.add(b"x"))])
    digest = uploads.action(command, command)
    assert execute(server, digest, uploads).status.code == Code.INVALID_ARGUMENT
    message = reapi.Action(
        command_digest=uploads.add(folder), input_root_digest=uploads.add(folder)
    )
    action = uploads.add(message)
    response = execute(server, Digest(action.hash, action.size_bytes), uploads)
    assert response.status.code == Code.INVALID_ARGUMENT or response.result.exit_code == 127


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 1 << 32), part=st.sampled_from(["action", "command", "folder"]))
def test_flipped_bytes_never_end_in_an_internal_error(fuzzed: Server, seed: int, part: str) -> None:
    """The program exists in no folder, so nothing is run, whatever the bytes mean."""
    uploads, chance = Uploads(), random.Random(seed)
    inner = reapi.Directory(symlinks=[reapi.SymlinkNode(name="l", target="../x")])
    folder = reapi.Directory(
        files=[reapi.FileNode(name="f", digest=uploads.add(b"x"), is_executable=True)],
        directories=[reapi.DirectoryNode(name="d", digest=uploads.add(inner))],
    )
    command = reapi.Command(
        arguments=["no/such/program", "@f"],
        environment_variables=[reapi.Command.EnvironmentVariable(name="A", value="b")],
        output_paths=["out/file"],
        output_files=["old"],
        working_directory="d/e",
        platform=reapi.Platform(
            properties=[reapi.Platform.Property(name="persistentWorkerKey", value="k")]
        ),
    )
    command_data, folder_data = command.SerializeToString(), folder.SerializeToString()
    if part == "command":
        command_data = damaged(command_data, chance)
    if part == "folder":
        folder_data = damaged(folder_data, chance)
    action = reapi.Action(
        command_digest=uploads.add(command_data), input_root_digest=uploads.add(folder_data)
    )
    action.timeout.seconds = 5
    data = action.SerializeToString()
    digest = uploads.add(damaged(data, chance) if part == "action" else data)
    try:
        response = execute(fuzzed, Digest(digest.hash, digest.size_bytes), uploads)
    except RequestError as error:
        code = error.code
    else:
        code = Code(response.status.code)
    assert code in {Code.OK, Code.INVALID_ARGUMENT, Code.FAILED_PRECONDITION}
    assert fuzzed.events.of(InternalError) == []


def damaged(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed))
        match chance.randrange(3):
            case 0:
                changed[at] = chance.randrange(256)
            case 1:
                del changed[at]
            case _:
                changed.insert(at, chance.randrange(256))
    return bytes(changed)


@pytest.fixture
def fuzzed() -> Iterator[Server]:
    with unharmed() as server:
        yield server


@pytest.mark.parametrize("program", ["no-such-program", "tools/none", "/no/such/program"])
def test_a_missing_executable_is_named(server: Server, program: str) -> None:
    once = server.run(Action(arguments=[program]))
    assert once.exit_code == 127
    assert program.encode() in once.stderr
    for_worker = worker_action("x").with_arguments(program)
    outcome = server.run(for_worker, check=False)
    assert outcome.status == "FAILED_PRECONDITION"
    assert "start failed" in outcome.message
    assert program in outcome.message


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"#!/no/such/interpreter\n"])
def test_a_file_that_is_no_program_is_named(server: Server, content: bytes) -> None:
    outcome = server.run(
        Action(arguments=["./tool"], inputs={"tool": File(content, is_executable=True)})
    )
    assert outcome.exit_code in {126, 127}
    assert b"./tool" in outcome.stderr


def test_arguments_that_the_kernel_does_not_take_are_reported(server: Server) -> None:
    outcome = server.run(Action(arguments=["/bin/true", "x" * (3 << 20)]))
    assert outcome.exit_code == 126
    assert b"too long" in outcome.stderr.lower()


@pytest.mark.parametrize("path", ["/".join(["d" * 250] * 20), "/".join(["d"] * 5000)])
@pytest.mark.parametrize("what", ["working_directory", "output", "input"])
def test_paths_longer_than_the_system_takes_are_an_invalid_argument(
    server: Server, path: str, what: str
) -> None:
    uploads = Uploads()
    command, root = reapi.Command(arguments=["/bin/true"]), reapi.Directory()
    if what == "working_directory":
        command.working_directory = path
    elif what == "output":
        command.output_paths.append(path)
    else:
        root.files.add(name="file", digest=uploads.add(b"x"))
        for name in reversed(path.split("/")):
            node = reapi.DirectoryNode(name=name, digest=uploads.add(root))
            root = reapi.Directory(directories=[node])
    response = execute(server, uploads.action(command, root), uploads)
    if what == "input" and path.startswith("dd"):
        assert response.status.code == Code.OK  # such files can be made, and nobody looks at them
    else:
        assert response.status.code == Code.INVALID_ARGUMENT
        assert "deep" in response.status.message or "long" in response.status.message


def test_an_unknown_protocol_names_those_there_are(server: Server) -> None:
    outcome = server.run(
        worker_action("x").with_platform(persistentWorkerProtocol="xml"), check=False
    )
    assert outcome.status == "INVALID_ARGUMENT"
    for word in ("'xml'", "proto", "json"):
        assert word in outcome.message


@pytest.mark.parametrize(
    ("line", "words"),
    [("@nowhere.params", "'nowhere.params'"), ("@action.params", "includes itself")],
)
def test_a_flagfile_that_is_no_input_or_includes_itself_is_the_actions_error(
    server: Server, line: str, words: str
) -> None:
    outcome = server.run(worker_action("x").with_flagfile(line), check=False)
    assert outcome.status == "INVALID_ARGUMENT"
    assert words in outcome.message
