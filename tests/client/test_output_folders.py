"""Output folders as servers may give them: as a Tree, or as the digest of their root alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from rpw_fixture import Action, Client
from rpw_fixture.wire.digests import SHA256, message_of
from rpw_fixture.wire.protos import longrunning
from rpw_fixture.wire.protos import remote_execution as reapi

from .fake_server import done, fake_server

ACTION = Action(arguments=["x"], outputs=["out"])


class Blobs:
    """What the server has, and how often it was asked."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.reads = 0

    def put(self, data: bytes) -> reapi.Digest:
        digest = SHA256.of(data)
        self.content[digest.hash] = data
        return message_of(digest)

    def folder(self, files: Mapping[str, bytes], **folders: reapi.Directory) -> reapi.Directory:
        made = reapi.Directory()
        for name, data in files.items():
            made.files.add(name=name, digest=self.put(data), is_executable=name.endswith(".sh"))
        for name, below in folders.items():
            digest = self.put(below.SerializeToString(deterministic=True))
            made.directories.add(name=name, digest=digest)
        return made

    def read(self, request: reapi.BatchReadBlobsRequest) -> reapi.BatchReadBlobsResponse:
        self.reads += 1
        response = reapi.BatchReadBlobsResponse()
        for each in request.digests:
            response.responses.add(digest=each, data=self.content[each.hash])
        return response


@pytest.mark.parametrize("form", ["tree", "root"])
def test_a_folder_is_unfolded_in_whatever_form_it_comes(form: str) -> None:
    blobs = Blobs()
    deep = blobs.folder({"deepest": b"3"})
    low = blobs.folder({"low": b"2", "run.sh": b"#!"}, deep=deep)
    top = blobs.folder({"top": b"1"}, one=low, two=low, empty=blobs.folder({}))
    top.symlinks.add(name="link", target="one/low")
    folder = reapi.OutputDirectory(path="out")
    if form == "root":
        root = blobs.put(top.SerializeToString(deterministic=True))
        folder.root_directory_digest.CopyFrom(root)
    else:
        tree = reapi.Tree(root=top, children=[low, deep, reapi.Directory()])
        folder.tree_digest.CopyFrom(blobs.put(tree.SerializeToString(deterministic=True)))

    def execute(_request: object) -> Iterator[longrunning.Operation]:
        result = reapi.ActionResult(output_directories=[folder])
        yield done("op", reapi.ExecuteResponse(result=result))

    with (
        fake_server(Execute=execute, BatchReadBlobs=blobs.read) as (endpoint, _),
        Client(endpoint) as client,
    ):
        outcome = client.run(ACTION)
        content = dict(outcome.outputs)

    below = {"low": b"2", "run.sh": b"#!", "deep/deepest": b"3"}
    assert content == {
        "out/top": b"1",
        **{f"out/{half}/{name}": data for half in ("one", "two") for name, data in below.items()},
    }
    assert outcome.outputs.symlinks == {"out/link": "one/low"}
    assert "out/empty" in outcome.outputs.folders
    assert outcome.outputs.files["out/one/run.sh"].is_executable
    assert not outcome.outputs.files["out/one/low"].is_executable
    # A call for each level of folders (or one for the tree), and one for the files.
    assert blobs.reads == (4 if form == "root" else 2)
