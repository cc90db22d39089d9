"""What is not canonical, and what is hostile: points 121 and 122, and the strict halves of others."""

from __future__ import annotations

import grpc
import pytest

from .client import refused
from .executing import SH, Link, missing_subjects, re, sha256, subject

INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT.value[0]


@pytest.fixture
def strict(make_executor):
    return make_executor(strict=True)


def variables(*names):
    return [re.Command.EnvironmentVariable(name=name, value="v") for name in names]


def platform(*pairs):
    return re.Platform(properties=[re.Platform.Property(name=n, value=v) for n, v in pairs])


def files(*names):
    return [re.FileNode(name=name, digest=sha256(b"")) for name in names]


def folders(*names):
    return [re.DirectoryNode(name=name, digest=sha256(b"")) for name in names]


def links(*names):
    return [re.SymlinkNode(name=name, target="x") for name in names]


#: Fields of a Command that lenient mode takes, and what strict mode says of them.
UNTIDY_COMMANDS = [
    ({"environment_variables": variables("B", "A")}, "variable 'A' comes after 'B'"),
    ({"environment_variables": variables("A", "A")}, "variable 'A' is listed twice"),
    ({"environment_variables": variables("A", "B", "A")}, "variable 'A' is listed twice"),
    ({"output_paths": ["b", "a"]}, "output path 'a' comes after 'b'"),
    ({"output_paths": ["a", "a"]}, "output path 'a' is listed twice"),
    ({"output_paths": ["a/"]}, "output path 'a/' ends in a slash"),
    ({"output_paths": ["./a"]}, "output path './a' has the part '.'"),
    ({"output_files": ["a", "b", "a"]}, "output file 'a' is listed twice"),
    ({"output_files": ["a", "a/b"]}, "output file 'a' is a parent of 'a/b'"),
    ({"output_directories": ["b", "a"]}, "output directory 'a' comes after 'b'"),
    ({"output_directories": ["a//b"]}, "output directory 'a//b' has the part ''"),
    ({"platform": platform(("b", "1"), ("a", "1"))}, "property 'a' = '1' comes after 'b' = '1'"),
    ({"platform": platform(("a", "2"), ("a", "1"))}, "then by value"),
    ({"platform": platform(("a", "1"), ("a", "1"))}, "property 'a' = '1' is listed twice"),
    (
        {"output_node_properties": ["unix_mode", "mtime"]},
        "node property 'mtime' comes after 'unix_mode'",
    ),
    ({"working_directory": "."}, "working directory '.' has the part '.'"),
    (
        {"working_directory": "no/such"},
        "working directory 'no/such' is not a folder of the input root",
    ),
]


@pytest.mark.point(121)
@pytest.mark.parametrize(
    ("fields", "why"), UNTIDY_COMMANDS, ids=[why for _, why in UNTIDY_COMMANDS]
)
def test_strict_mode_says_what_is_not_canonical_in_a_command(strict, fields, why):
    command = re.Command(arguments=[SH, "-c", ":"], **fields)
    response = strict.run(strict.action(command, platform=re.Platform()))
    assert response.status.code == INVALID_ARGUMENT
    assert why in response.status.message
    assert not response.status.details


@pytest.mark.point(121)
@pytest.mark.parametrize("fields", [each for each, why in UNTIDY_COMMANDS if "parent" not in why])
def test_lenient_mode_takes_the_same_commands(executor, fields):
    command = re.Command(arguments=[SH, "-c", "echo ran"], **fields)
    response = executor.run(executor.action(command))
    assert response.status.code == 0, response.status.message
    assert executor.stdout(response) == b"ran\n"


UNTIDY_FOLDERS = [
    ({"files": files("b", "a")}, "file 'a' comes after 'b'"),
    ({"directories": folders("b", "a")}, "directory 'a' comes after 'b'"),
    ({"symlinks": links("b", "a")}, "symlink 'a' comes after 'b'"),
]


@pytest.mark.point(121)
@pytest.mark.parametrize(("fields", "why"), UNTIDY_FOLDERS, ids=[why for _, why in UNTIDY_FOLDERS])
@pytest.mark.parametrize("is_deep", [False, True])
def test_strict_mode_says_what_is_not_canonical_in_a_folder(make_executor, fields, why, is_deep):
    strict, lenient = make_executor(strict=True), make_executor()
    for executor in (strict, lenient):
        root = executor.put(re.Directory(**fields))
        told = root.hash
        if is_deep:
            node = re.DirectoryNode(name="d", digest=root)
            root = executor.put(re.Directory(directories=[node]))
        digest = executor.action(executor.command(SH, "-c", "echo ran"), input_root_digest=root)
        response = executor.run(digest)
        if executor is lenient:
            assert executor.stdout(response) == b"ran\n"
        else:
            assert response.status.code == INVALID_ARGUMENT
            assert why in response.status.message
            assert told in response.status.message


@pytest.mark.point(121)
def test_strict_mode_says_what_is_not_canonical_in_an_action(strict):
    action = re.Action(
        command_digest=strict.put(strict.command(SH)),
        input_root_digest=strict.tree({}),
        platform=platform(("b", "1"), ("a", "1")),
    )
    digest = strict.put(action)
    with refused(grpc.StatusCode.INVALID_ARGUMENT, digest.hash, "'a' = '1' comes after"):
        list(strict.execute(digest))


@pytest.mark.point(121)
def test_strict_mode_refuses_fields_out_of_order_and_unknown_fields(strict):
    command, root = strict.put(strict.command(SH)), strict.tree({})
    first = re.Action(command_digest=command).SerializeToString()
    second = re.Action(input_root_digest=root).SerializeToString()
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "encoding is not canonical"):
        list(strict.execute(strict.put(second + first)))
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "fields that the protocol does not define"):
        list(strict.execute(strict.put(first + second + b"\xfa\x7f\x01x")))


@pytest.mark.point(121)
def test_lenient_mode_takes_fields_out_of_order_and_unknown_fields(executor):
    command = executor.put(executor.command(SH, "-c", "echo ran"))
    first = re.Action(command_digest=command).SerializeToString()
    second = re.Action(input_root_digest=executor.tree({})).SerializeToString()
    digest = executor.put(second + first + b"\xfa\x7f\x01x")
    assert executor.stdout(executor.run(digest)) == b"ran\n"


@pytest.mark.point(121)
def test_strict_mode_runs_what_is_canonical(strict):
    inputs = {"a/b": b"1", "a/c/": None, "z": b"2"}
    fields = {"files": ["o/1", "o/2"], "folders": ["p"], "env": {"A": "1", "B": "2"}}
    response = strict.run_shell("echo 1 > o/1; mkdir p", inputs, **fields, working_directory="a")
    assert response.status.code == 0, response.status.message
    assert strict.files(response) == {"o/1": b"1\n"}


@pytest.mark.point(121)
def test_of_many_problems_the_first_are_named_and_the_others_counted(strict):
    names = [f"v{number:04}" for number in range(2000, 0, -1)]
    command = re.Command(arguments=[SH], environment_variables=variables(*names))
    message = strict.run(strict.action(command)).status.message
    assert "and 1994 more" in message
    assert len(message) < 2000


HOSTILE = ["..", ".", "", "a/b", "../x", "/etc", "a\0b", "n" * 10_000, "é" * 200]


@pytest.mark.point(122)
@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: repr(name[:8]))
@pytest.mark.parametrize("kind", ["files", "directories", "symlinks"])
@pytest.mark.parametrize("is_strict", [False, True])
def test_a_hostile_name_is_refused_in_every_mode(make_executor, name, kind, is_strict):
    executor = make_executor(strict=is_strict)
    make = {"files": files, "directories": folders, "symlinks": links}[kind]
    root = executor.put(re.Directory(**{kind: make(name)}))
    digest = executor.action(executor.command(SH, "-c", ":"), input_root_digest=root)
    response = executor.run(digest)
    assert response.status.code == INVALID_ARGUMENT
    assert root.hash in response.status.message
    assert repr(name[:8])[:-1] in response.status.message
    assert len(response.status.message) < 1000


@pytest.mark.point(122)
@pytest.mark.parametrize("is_strict", [False, True])
@pytest.mark.parametrize(
    "fields",
    [
        {"files": files("a"), "directories": folders("a")},
        {"files": files("a"), "symlinks": links("a")},
        {"directories": folders("a", "a")},
    ],
    ids=["file and folder", "file and link", "two folders"],
)
def test_a_name_used_twice_is_refused_in_every_mode(make_executor, fields, is_strict):
    executor = make_executor(strict=is_strict)
    root = executor.put(re.Directory(**fields))
    digest = executor.action(executor.command(SH, "-c", ":"), input_root_digest=root)
    response = executor.run(digest)
    assert response.status.code == INVALID_ARGUMENT
    assert "'a'" in response.status.message


@pytest.mark.point(122)
@pytest.mark.parametrize("path", ["../out", "/etc/x", "a/../../b", "a\0b", "n" * 300])
@pytest.mark.parametrize("field", ["output_paths", "output_files", "output_directories"])
@pytest.mark.parametrize("is_strict", [False, True])
def test_a_hostile_output_path_is_refused_in_every_mode(make_executor, path, field, is_strict):
    executor = make_executor(strict=is_strict)
    command = re.Command(arguments=[SH, "-c", ":"], **{field: [path]})
    response = executor.run(executor.action(command))
    assert response.status.code == INVALID_ARGUMENT
    assert repr(path[:20])[:-1] in response.status.message


@pytest.mark.point(122)
@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"arguments": [SH, "a\0b"]}, "NUL"),
        ({"environment_variables": variables("A=B")}, "'A=B'"),
        ({"environment_variables": variables("")}, "''"),
        ({"environment_variables": variables("A\0")}, "A\\x00"),
    ],
)
def test_what_no_process_can_be_given_is_refused(executor, fields, told):
    command = re.Command(**{"arguments": [SH], **fields})
    response = executor.run(executor.action(command))
    assert response.status.code == INVALID_ARGUMENT
    assert told in response.status.message


@pytest.mark.point(122)
def test_a_symlink_without_target_is_refused(executor):
    root = executor.put(re.Directory(symlinks=[re.SymlinkNode(name="link")]))
    digest = executor.action(executor.command(SH), input_root_digest=root)
    response = executor.run(digest)
    assert response.status.code == INVALID_ARGUMENT
    assert "'link'" in response.status.message


@pytest.mark.point(122)
def test_an_output_below_an_input_file_is_refused(executor):
    response = executor.run_shell(":", {"a": b"file"}, files=["a/b"])
    assert response.status.code == INVALID_ARGUMENT
    assert "'a'" in response.status.message


@pytest.mark.point(122)
def test_an_output_below_an_input_link_makes_no_folder_outside(executor, tmp_path):
    response = executor.run_shell(":", {"link": Link(target=str(tmp_path))}, files=["link/a/b"])
    assert list(tmp_path.iterdir()) == []
    assert not response.result.output_files


@pytest.mark.point(23)
@pytest.mark.point(113)
def test_missing_blobs_are_reported_in_strict_mode_as_well(strict):
    action = re.Action(
        command_digest=strict.put(strict.command(SH)), input_root_digest=sha256(b"absent")
    )
    response = strict.run(strict.put(action))
    assert missing_subjects(response.status) == [subject(sha256(b"absent"))]


@pytest.mark.point(98)
@pytest.mark.point(121)
@pytest.mark.parametrize(
    ("tree", "why"),
    [
        (re.Tree(root=re.Directory(files=files("b", "a"))), "root: file 'a' comes after 'b'"),
        (
            re.Tree(root=re.Directory(), children=[re.Directory()] * 2),
            "child 1 repeats child 0",
        ),
        (
            re.Tree(root=re.Directory(), children=[re.Directory(symlinks=links("b", "a"))]),
            "child 0: symlink 'a' comes after 'b'",
        ),
        (re.Tree(), "root is not set"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_strict_mode_says_what_is_not_canonical_in_an_uploaded_tree(make_executor, tree, why):
    for executor in (make_executor(strict=True), make_executor()):
        result = re.ActionResult()
        digest = executor.put(tree.SerializeToString() or b"\x12\x00")
        result.output_directories.add(path="out", tree_digest=digest)
        request = re.UpdateActionResultRequest(
            action_digest=sha256(b"an action"), action_result=result
        )
        if executor.server.config.strict:
            with refused(grpc.StatusCode.INVALID_ARGUMENT, why, digest.hash, "'out'"):
                executor.client.action_cache.UpdateActionResult(request)
        else:
            executor.client.action_cache.UpdateActionResult(request)
