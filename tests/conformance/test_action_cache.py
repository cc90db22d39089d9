"""ActionCache: points 91 to 102."""

from __future__ import annotations

import grpc
import pytest

from rpw_fixture.wire.protos import remote_execution as own

from .client import re, refused, sha256

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
ACTION = sha256(b"an action that nobody uploaded")


def put(client, result, **fields):
    request = re.UpdateActionResultRequest(action_digest=ACTION, action_result=result, **fields)
    return client.action_cache.UpdateActionResult(request)


def get(client, **fields):
    request = re.GetActionResultRequest(action_digest=ACTION, **fields)
    return client.action_cache.GetActionResult(request)


def own_digest(data):
    digest = sha256(data)
    return own.Digest(hash=digest.hash, size_bytes=digest.size_bytes)


@pytest.fixture
def result(client):
    """A result with every kind of output, all of it uploaded; the names say what is in what."""
    inner = re.Directory(files=[re.FileNode(name="inner", digest=sha256(b"inner"))])
    root = re.Directory(
        files=[re.FileNode(name="outer", digest=sha256(b"outer"))],
        directories=[re.DirectoryNode(name="d", digest=sha256(inner.SerializeToString()))],
    )
    tree = re.Tree(root=root, children=[inner]).SerializeToString()
    client.upload(b"file", b"out", b"err", b"inner", b"outer", tree)
    return re.ActionResult(
        output_files=[re.OutputFile(path="a/file", digest=sha256(b"file"))],
        output_directories=[re.OutputDirectory(path="dir", tree_digest=sha256(tree))],
        stdout_digest=sha256(b"out"),
        stderr_digest=sha256(b"err"),
        execution_metadata=re.ExecutedActionMetadata(worker="builder"),
    )


@pytest.mark.point(91)
def test_an_unknown_action_has_no_result(client):
    with refused(NOT_FOUND, ACTION.hash):
        get(client)


@pytest.mark.point(91)
def test_a_malformed_action_digest_is_refused(client):
    request = re.GetActionResultRequest(action_digest=re.Digest(hash="abc", size_bytes=1))
    with refused(INVALID):
        client.action_cache.GetActionResult(request)


@pytest.mark.point(96)
@pytest.mark.point(97)
def test_a_result_is_given_back_as_it_was_kept(client, result):
    assert put(client, result) == result
    assert get(client) == result


@pytest.mark.point(92)
@pytest.mark.parametrize("lost", ["file", "out", "err", "inner", "outer", "tree"])
def test_a_result_with_a_missing_blob_is_none_until_the_blob_is_back(served, result, lost):
    client = served.client
    put(client, result)
    assert get(client) == result
    digest = result.output_directories[0].tree_digest
    digest = digest if lost == "tree" else sha256(lost.encode())
    content = client.read(f"blobs/{digest.hash}/{digest.size_bytes}")
    assert served.cas.evict(lambda _function, each: each.hash == digest.hash) == 1
    with refused(NOT_FOUND):
        get(client)
    client.upload(content)
    assert get(client) == result


@pytest.mark.point(92)
@pytest.mark.parametrize("lost", ["inner", "outer", "folder"])
def test_directories_below_a_root_directory_have_to_be_there_too(served, lost):
    client, cache = served.client, served.client.own("ActionCache")
    inner = re.Directory(files=[re.FileNode(name="inner", digest=sha256(b"inner"))])
    folder = inner.SerializeToString()
    root = re.Directory(
        files=[re.FileNode(name="outer", digest=sha256(b"outer"))],
        directories=[re.DirectoryNode(name="d", digest=sha256(folder))],
    ).SerializeToString()
    blobs = {"inner": b"inner", "outer": b"outer", "folder": folder, "root": root}
    client.upload(*blobs.values())
    directory = own.OutputDirectory(path="dir", root_directory_digest=own_digest(root))
    action = own_digest(b"action")
    result = own.ActionResult(output_directories=[directory])
    cache.UpdateActionResult(
        own.UpdateActionResultRequest(action_digest=action, action_result=result)
    )
    request = own.GetActionResultRequest(action_digest=action)
    assert cache.GetActionResult(request).output_directories == [directory]
    gone = sha256(blobs[lost]).hash
    served.cas.evict(lambda _function, digest: digest.hash == gone)
    with refused(NOT_FOUND):
        cache.GetActionResult(request)


@pytest.mark.point(92)
def test_a_result_with_a_tree_that_is_none_is_no_result(client):
    (digest,) = client.upload(b"\xff no tree")
    put(client, re.ActionResult(output_directories=[re.OutputDirectory(tree_digest=digest)]))
    with refused(NOT_FOUND):
        get(client)


@pytest.mark.point(92)
def test_a_hit_extends_the_life_of_its_blobs(serve):
    client = serve(cas_max_bytes=1000).client
    (kept, other) = client.upload(b"a" * 400, b"b" * 400)
    put(client, re.ActionResult(stdout_digest=kept))
    get(client)
    client.upload(b"c" * 400)
    assert client.missing(kept, other) == [other]


@pytest.mark.point(92)
def test_results_with_missing_blobs_are_given_out_without_the_check(serve):
    client = serve(check_action_cache=False).client
    put(client, re.ActionResult(stdout_digest=sha256(b"nowhere")))
    assert get(client).stdout_digest == sha256(b"nowhere")


@pytest.mark.point(27)
@pytest.mark.point(92)
def test_an_empty_digest_message_means_no_value(client):
    put(client, re.ActionResult(exit_code=1, stdout_digest=re.Digest()))
    assert get(client).exit_code == 1


@pytest.mark.point(93)
@pytest.mark.point(94)
def test_content_is_inlined_if_asked_for_beside_its_digest(client, result):
    put(client, result)
    plain = get(client)
    assert (plain.stdout_raw, plain.stderr_raw, plain.output_files[0].contents) == (b"", b"", b"")
    inlined = get(
        client, inline_stdout=True, inline_stderr=True, inline_output_files=["a/file", "b", "dir"]
    )
    assert (inlined.stdout_raw, inlined.stderr_raw) == (b"out", b"err")
    assert inlined.output_files[0].contents == b"file"
    for each in (inlined, inlined.output_files[0]):
        each.ClearField("stdout_raw" if each is inlined else "contents")
    inlined.ClearField("stderr_raw")
    assert inlined == result


@pytest.mark.point(93)
def test_no_more_is_inlined_than_a_message_holds(client):
    large, small = b"a" * (2 << 20), b"b" * 100
    digest, other = client.upload(large, small)
    files = [re.OutputFile(path=path, digest=digest) for path in ("one", "two")]
    files.append(re.OutputFile(path="three", digest=other))
    put(client, re.ActionResult(output_files=files))
    inlined = get(client, inline_output_files=["one", "two", "three"]).output_files
    assert [file.contents for file in inlined] == [large, b"", small]
    assert [file.digest for file in inlined] == [digest, digest, other]


@pytest.mark.point(95)
@pytest.mark.parametrize("path", ["file", "a/file/", "/a/file", "a"])
def test_only_exact_paths_are_inlined(client, result, path):
    put(client, result)
    assert get(client, inline_output_files=[path]).output_files[0].contents == b""


BAD = re.Digest(hash="bad", size_bytes=3)
GOOD = sha256(b"good")


@pytest.mark.point(98)
@pytest.mark.parametrize(
    "result",
    [
        re.ActionResult(output_files=[re.OutputFile(path="/a", digest=GOOD)]),
        re.ActionResult(output_files=[re.OutputFile(path="", digest=GOOD)]),
        re.ActionResult(output_files=[re.OutputFile(path="a\0b", digest=GOOD)]),
        re.ActionResult(output_files=[re.OutputFile(path="a")]),
        re.ActionResult(output_files=[re.OutputFile(path="a", digest=BAD)]),
        re.ActionResult(
            output_files=[re.OutputFile(path="a", digest=re.Digest(hash=GOOD.hash, size_bytes=-1))]
        ),
        re.ActionResult(output_directories=[re.OutputDirectory(path="/a", tree_digest=GOOD)]),
        re.ActionResult(output_directories=[re.OutputDirectory(path="a")]),
        re.ActionResult(output_directories=[re.OutputDirectory(path="a", tree_digest=BAD)]),
        re.ActionResult(output_file_symlinks=[re.OutputSymlink(path="/a", target="b")]),
        re.ActionResult(output_file_symlinks=[re.OutputSymlink(path="a")]),
        re.ActionResult(output_directory_symlinks=[re.OutputSymlink(path="", target="b")]),
        re.ActionResult(stdout_digest=BAD),
        re.ActionResult(stderr_digest=BAD),
    ],
    ids=lambda result: str(result).replace("\n", " ")[:60],
)
def test_a_result_that_no_client_could_use_is_refused(client, result):
    with refused(INVALID):
        put(client, result)
    with refused(NOT_FOUND):
        get(client)


@pytest.mark.point(98)
def test_an_update_without_a_result_is_refused(client):
    request = re.UpdateActionResultRequest(action_digest=ACTION)
    with refused(INVALID, "action_result"):
        client.action_cache.UpdateActionResult(request)


@pytest.mark.point(99)
@pytest.mark.point(100)
def test_a_result_of_defaults_is_kept_and_has_metadata(client):
    assert put(client, re.ActionResult()).execution_metadata.worker
    assert get(client).execution_metadata.worker


@pytest.mark.point(96)
def test_a_later_result_replaces_an_earlier_one(client):
    for exit_code in (1, 2):
        put(client, re.ActionResult(exit_code=exit_code))
        assert get(client).exit_code == exit_code


@pytest.mark.point(102)
def test_results_belong_to_their_instance(client):
    put(client, re.ActionResult(exit_code=3), instance_name="one")
    assert get(client, instance_name="one").exit_code == 3
    for other in ("", "two", "one/more"):
        with refused(NOT_FOUND):
            get(client, instance_name=other)


@pytest.mark.point(102)
def test_results_belong_to_their_digest_function(serve):
    pytest.importorskip("blake3")
    cache = serve(digest_functions=("SHA256", "BLAKE3")).client.own("ActionCache")
    action = own_digest(b"the same 64 digits")
    result = own.ActionResult(exit_code=3)
    cache.UpdateActionResult(
        own.UpdateActionResultRequest(action_digest=action, action_result=result)
    )
    with refused(NOT_FOUND):
        cache.GetActionResult(
            own.GetActionResultRequest(
                action_digest=action, digest_function=own.DigestFunction.BLAKE3
            )
        )
