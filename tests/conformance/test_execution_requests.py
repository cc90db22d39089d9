"""What Execute accepts and how an operation proceeds: points 103 to 120, and 123 to 127."""

from __future__ import annotations

import threading

import grpc
import pytest

from .client import refused
from .executing import (
    COMPLETED,
    EXECUTING,
    SH,
    File,
    Link,
    metadata_of,
    missing_subjects,
    next_at_stage,
    own,
    re,
    response_of,
    sha256,
    subject,
)

COUNT = "echo run >> {0}; echo done"


@pytest.fixture
def counter(tmp_path):
    """A file outside the server where actions leave a line for each time they really run."""
    path = tmp_path / "runs"
    path.touch()
    return path


def runs(counter):
    return len(counter.read_text().splitlines())


@pytest.mark.point(103)
@pytest.mark.point(104)
@pytest.mark.point(105)
def test_the_first_message_comes_while_the_action_runs_and_names_it(executor, gate):
    digest = executor.shell(gate.script)
    call = executor.execute(digest)
    first = next(call)
    assert first.name
    assert not first.done
    assert metadata_of(first).action_digest == digest
    assert metadata_of(first).stage != COMPLETED
    gate.open()
    response_of([first, *call])


@pytest.mark.point(105)
def test_stages_go_from_queued_to_executing_to_completed(executor, gate):
    call = executor.execute(executor.shell(gate.script))
    seen = [next(call)]
    gate.wait_until_reached()
    seen.append(executor.get(seen[0].name))
    gate.open()
    seen += call
    stages = [metadata_of(operation).stage for operation in seen]
    assert stages[1] == EXECUTING
    assert stages[-1] == COMPLETED
    assert [operation.done for operation in seen].count(True) == 1


@pytest.mark.point(106)
@pytest.mark.point(107)
def test_what_goes_wrong_is_reported_in_the_response_and_never_in_the_operation(executor):
    command = executor.command("x", working_directory="../up")
    response = executor.run(executor.action(command))
    assert response.status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert "'../up'" in response.status.message


@pytest.mark.point(108)
def test_a_result_is_there_even_when_there_are_no_outputs(executor):
    response = executor.run_shell(":")
    assert response.HasField("result")
    assert response.status.code == 0
    assert response.result.exit_code == 0


@pytest.mark.point(109)
def test_a_known_result_is_returned_without_running(executor, counter):
    digest = executor.shell(COUNT.format(counter))
    assert not executor.run(digest).cached_result
    again = executor.run(digest)
    assert again.cached_result
    assert executor.stdout(again) == b"done\n"
    assert runs(counter) == 1


@pytest.mark.point(110)
def test_skip_cache_lookup_runs_anyway_and_replaces_the_entry(executor, counter):
    digest = executor.shell(f"echo run >> {counter}; wc -l < {counter}")
    executor.run(digest)
    second = executor.run(digest, skip_cache_lookup=True)
    assert not second.cached_result
    assert runs(counter) == 2
    third = executor.run(digest)
    assert third.cached_result
    assert executor.stdout(third) == executor.stdout(second)


@pytest.mark.point(110)
def test_skip_cache_lookup_does_not_join_a_run_under_way(executor, gate, counter):
    first_there = f"if [ -s {counter} ]; then echo run >> {counter}; exit; fi"
    digest = executor.shell(f"{first_there}; echo run >> {counter}; {gate.script}")
    first = executor.execute(digest)
    gate.wait_until_reached()
    executor.run(digest, skip_cache_lookup=True)
    assert runs(counter) == 2
    gate.open()
    response_of(list(first))


@pytest.mark.point(111)
def test_do_not_cache_runs_every_time_and_leaves_no_entry(executor, counter):
    digest = executor.shell(COUNT.format(counter), do_not_cache=True)
    assert not executor.run(digest).cached_result
    assert not executor.run(digest).cached_result
    assert runs(counter) == 2
    with refused(grpc.StatusCode.NOT_FOUND, digest.hash):
        request = re.GetActionResultRequest(action_digest=digest)
        executor.client.action_cache.GetActionResult(request)


@pytest.mark.point(111)
def test_do_not_cache_is_not_merged_with_an_equal_action(executor, gate, counter):
    """The second run ends while the first still waits."""
    first_there = f"if [ -s {counter} ]; then echo run >> {counter}; exit; fi"
    script = f"{first_there}; echo run >> {counter}; {gate.script}"
    digest = executor.shell(script, do_not_cache=True)
    first = executor.execute(digest)
    gate.wait_until_reached()
    executor.run(digest)
    gate.open()
    response_of(list(first))
    assert runs(counter) == 2


@pytest.mark.point(112)
def test_equal_actions_share_a_run_and_each_has_its_operation(executor, gate, counter):
    digest = executor.shell(f"echo run >> {counter}; {gate.script}; echo done")
    first, second = executor.execute(digest), executor.execute(digest)
    names = {next(first).name, next(second).name}
    assert len(names) == 2
    gate.open()
    for call in (first, second):
        assert executor.stdout(response_of(list(call))) == b"done\n"
    assert runs(counter) == 1


@pytest.mark.point(112)
@pytest.mark.point(174)
def test_cancelling_one_of_two_equal_requests_does_not_end_the_other(executor, gate):
    digest = executor.shell(f"{gate.script}; echo done")
    first, second = executor.execute(digest), executor.execute(digest)
    name = next(first).name
    next(second)
    gate.wait_until_reached()
    executor.cancel(name)
    assert response_of(list(first)).status.code == grpc.StatusCode.CANCELLED.value[0]
    gate.open()
    assert executor.stdout(response_of(list(second))) == b"done\n"


@pytest.mark.point(113)
@pytest.mark.point(114)
@pytest.mark.point(115)
def test_a_missing_action_fails_the_call_and_is_named(executor):
    absent = sha256(b"no such action")
    with pytest.raises(grpc.RpcError) as caught:
        list(executor.execute(absent))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert missing_subjects(status_in(caught.value)) == [subject(absent)]


@pytest.mark.point(113)
@pytest.mark.point(114)
@pytest.mark.point(115)
def test_every_missing_blob_is_named_at_once(executor):
    file, deep, folder = (sha256(text) for text in (b"file", b"deep file", b"folder"))
    inner = re.Directory(files=[re.FileNode(name="deep", digest=deep)])
    root = re.Directory(
        files=[re.FileNode(name="file", digest=file)],
        directories=[
            re.DirectoryNode(name="gone", digest=folder),
            re.DirectoryNode(name="here", digest=executor.put(inner)),
        ],
    )
    command = sha256(b"no such command")
    action = re.Action(command_digest=command, input_root_digest=executor.put(root))
    response = executor.run(executor.put(action))
    assert response.status.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    wanted = {subject(digest) for digest in (file, deep, folder, command)}
    told = missing_subjects(response.status)
    assert set(told) == wanted
    assert len(told) == len(wanted)


@pytest.mark.point(113)
def test_uploading_what_was_missing_makes_the_same_action_run(executor):
    directory = re.Directory(files=[re.FileNode(name="a.txt", digest=sha256(b"late"))])
    digest = executor.action(
        executor.command(SH, "-c", "cat a.txt"), input_root_digest=executor.put(directory)
    )
    assert missing_subjects(executor.run(digest).status) == [subject(sha256(b"late"))]
    executor.put(b"late")
    assert executor.stdout(executor.run(digest)) == b"late"


@pytest.mark.point(116)
@pytest.mark.parametrize("part", ["Action", "Command", "Directory"])
def test_bytes_that_are_no_message_are_an_invalid_argument(executor, part):
    junk = executor.put(b"\xff\xff\xff\xff no message")
    if part == "Action":
        with refused(grpc.StatusCode.INVALID_ARGUMENT, junk.hash, "Action"):
            list(executor.execute(junk))
        return
    command = junk if part == "Command" else executor.put(executor.command(SH))
    root = junk if part == "Directory" else executor.tree({})
    digest = executor.put(re.Action(command_digest=command, input_root_digest=root))
    response = executor.run(digest)
    assert response.status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert junk.hash in response.status.message
    assert part in response.status.message


@pytest.mark.point(117)
@pytest.mark.parametrize(
    ("seconds", "nanos", "words"),
    [(-1, 0, "negative"), (11, 0, "maximum"), (0, -1, "negative"), (1, 2_000_000_000, "timeout")],
)
def test_an_impossible_timeout_is_an_invalid_argument(make_executor, seconds, nanos, words):
    executor = make_executor(max_timeout=10.0)
    action = re.Action(
        command_digest=executor.put(executor.command(SH)), input_root_digest=executor.tree({})
    )
    action.timeout.seconds, action.timeout.nanos = seconds, nanos
    response = executor.run(executor.put(action))
    assert response.status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert words in response.status.message


@pytest.mark.point(118)
def test_without_a_timeout_the_servers_own_counts(make_executor):
    executor = make_executor(default_timeout=0.2)
    response = executor.run_shell("sleep 60")
    assert response.status.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    assert "0.2 s" in response.status.message


@pytest.mark.point(119)
def test_unknown_platform_properties_are_accepted(executor):
    response = executor.run_shell("echo ran", platform={"OSFamily": "Linux", "pool": "large"})
    assert executor.stdout(response) == b"ran\n"


@pytest.mark.point(120)
def test_the_actions_platform_comes_before_the_commands(executor):
    def property_of(value):
        platform = re.Platform()
        platform.properties.add(name="container-image", value=value)
        return platform

    command = re.Command(arguments=[SH, "-c", ":"], platform=property_of("of-the-command"))
    digest = executor.action(command, platform=property_of("of-the-action"))
    assert "of-the-action" in executor.run(digest).status.message
    action = re.Action(command_digest=executor.put(command), input_root_digest=executor.tree({}))
    assert "of-the-command" in executor.run(executor.put(action)).status.message


@pytest.mark.point(123)
def test_an_unsupported_output_node_property_is_an_invalid_argument(executor):
    command = executor.command(SH, output_node_properties=["colour"])
    response = executor.run(executor.action(command))
    assert response.status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert "'colour'" in response.status.message
    capabilities = executor.client.capabilities.GetCapabilities(re.GetCapabilitiesRequest())
    supported = capabilities.execution_capabilities.supported_node_properties
    assert list(supported) == ["mtime", "unix_mode"]


@pytest.mark.point(124)
@pytest.mark.parametrize("folder", ["", ".", "sub", "./sub", "sub/", "made/for/it"])
def test_the_command_runs_in_its_working_directory(executor, folder):
    command = executor.command(SH, "-c", "pwd", working_directory=folder)
    printed = executor.stdout(executor.run(executor.action(command, {"sub/file": b""})))
    tail = folder.strip("./")
    assert printed.decode().rstrip("\n").endswith(f"/{tail}" if tail else "")


@pytest.mark.point(124)
@pytest.mark.parametrize("folder", ["..", "../other", "sub/../..", "/tmp"])
def test_a_working_directory_outside_the_input_root_is_an_invalid_argument(executor, folder):
    command = executor.command(SH, "-c", ":", working_directory=folder)
    response = executor.run(executor.action(command, {"sub/file": b""}))
    assert response.status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert repr(folder) in response.status.message


@pytest.mark.point(124)
def test_a_working_directory_that_is_a_file_is_an_invalid_argument(executor):
    command = executor.command(SH, "-c", ":", working_directory="file")
    response = executor.run(executor.action(command, {"file": b""}))
    assert response.status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert "'file'" in response.status.message


@pytest.mark.point(125)
def test_output_paths_are_relative_to_the_working_directory(executor):
    command = executor.command(
        SH,
        "-c",
        "echo here > out.txt; echo root > ../out.txt",
        files=["out.txt"],
        working_directory="sub",
    )
    response = executor.run(executor.action(command, {"sub/": None}))
    assert executor.files(response) == {"out.txt": b"here\n"}


@pytest.mark.point(125)
@pytest.mark.parametrize("is_strict", [False, True])
def test_output_paths_may_leave_the_working_directory(make_executor, is_strict):
    executor = make_executor(strict=is_strict)
    command = executor.command(
        SH,
        "-c",
        "mkdir ../../tree; echo 1 > ../../tree/one; echo 2 > ../../../made/two; ln -s one ../link",
        files=["../../../made/two", "../link"],
        folders=["../../tree"],
        working_directory="a/b/c",
    )
    response = executor.run(executor.action(command, {"a/b/c/": None}))
    assert executor.files(response) == {"../../../made/two": b"2\n"}
    assert [folder.path for folder in response.result.output_directories] == ["../../tree"]
    links = [*response.result.output_symlinks, *response.result.output_file_symlinks]
    assert {link.path for link in links} == {"../link"}


@pytest.mark.point(127)
@pytest.mark.parametrize("target", ["/no/such/place", "/etc/hostname", "/"])
def test_absolute_symlinks_are_placed_and_reported_verbatim(executor, target):
    response = executor.run_shell(
        f"readlink in; mkdir out; ln -s {target} out/link",
        {"in": Link(target=target)},
        folders=["out"],
    )
    assert executor.stdout(response).decode() == f"{target}\n"
    (tree,) = executor.trees(response).values()
    assert [(link.name, link.target) for link in tree.root.symlinks] == [("link", target)]


@pytest.mark.point(14)
@pytest.mark.point(126)
def test_where_absolute_symlinks_are_not_allowed_they_are_refused(make_executor):
    executor = make_executor(absolute_symlinks=False)
    capabilities = executor.client.capabilities.GetCapabilities(re.GetCapabilitiesRequest())
    strategy = capabilities.cache_capabilities.symlink_absolute_path_strategy
    assert strategy == re.SymlinkAbsolutePathStrategy.DISALLOWED
    response = executor.run_shell(":", {"sub/in": Link(target="/etc")})
    assert response.status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert "'in'" in response.status.message
    for script, path in (("ln -s /x out", "out"), ("mkdir out; ln -s /x out/link", "out/link")):
        response = executor.run_shell(script, folders=["out"])
        assert response.status.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
        assert repr(path) in response.status.message
    assert (
        executor.run_shell("ln -s x out", {"l": Link(target="../y")}, files=["out"]).status.code
        == 0
    )


@pytest.mark.point(104)
def test_the_digest_function_of_an_operation_is_reported(executor):
    (*_, last) = executor.execute(executor.shell(":"))
    metadata = own.ExecuteOperationMetadata.FromString(last.metadata.value)
    assert metadata.digest_function == own.DigestFunction.SHA256


@pytest.mark.point(112)
def test_many_equal_requests_at_once_run_once(executor, gate, counter):
    digest = executor.shell(f"echo run >> {counter}; {gate.script}")
    calls = [executor.execute(digest) for _ in range(20)]
    for call in calls:
        next_at_stage(call, EXECUTING)
    gate.open()
    threads = [threading.Thread(target=list, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert runs(counter) == 1


def status_in(error):
    """The google.rpc.Status in a failed call's trailers."""
    from buildgrid.common.protos.google.rpc.status_pb2 import Status

    (data,) = [value for key, value in error.trailing_metadata() if key.endswith("details-bin")]
    status = Status.FromString(data)
    assert status.code == error.code().value[0]
    return status


def test_marked_files_are_accepted(executor):
    """Bazel's mark on tool inputs."""
    inputs = {"tool": File(data=b"x", properties={"bazel_tool_input": ""})}
    assert executor.stdout(executor.run_shell("cat tool", inputs)) == b"x"
