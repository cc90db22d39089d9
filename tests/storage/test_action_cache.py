"""The action cache in memory, and completeness of what it gives out."""

from __future__ import annotations

import pytest

from rpw_fixture import Action, Server
from rpw_fixture.storage.action_cache import ActionCache, ActionKey
from rpw_fixture.storage.cas import Cas
from rpw_fixture.storage.complete_results import CompleteResults
from rpw_fixture.wire.digests import SHA256, DigestFunctions, message_of
from rpw_fixture.wire.protos import remote_execution as reapi


def key(number, instance=""):
    return ActionKey(instance, "SHA256", SHA256.of(b"%d" % number))


def test_a_result_of_no_bytes_is_a_result():
    results = ActionCache()
    assert results.get(key(1)) is None
    results.put(key(1), b"")
    assert results.get(key(1)).encoded == b""
    assert results.get(key(1, "instance")) is None


def test_the_least_recently_used_results_leave_first():
    results = ActionCache(max_bytes=4 * 1500)
    for number in range(4):
        results.put(key(number), bytes(1000))
    results.get(key(0))
    results.put(key(4), bytes(1000))
    assert [number for number in range(5) if results.get(key(number))] == [0, 2, 3, 4]


def test_what_is_around_a_result_counts():
    results = ActionCache(max_bytes=1 << 20)
    for number in range(10_000):
        results.put(key(number), b"small")
    assert 1000 < len(results) < 4000


def test_a_server_that_keeps_no_blobs_in_memory_keeps_results():
    actions = [Action(arguments=("/bin/sh", "-c", f"echo {number}")) for number in range(3)]
    with Server(cas_memory_bytes=0) as server:
        for action in actions:
            assert not server.run(action).cached
        assert all(server.run(action).cached for action in actions)


def test_a_result_is_replaced_removed_and_cleared():
    results = ActionCache()
    results.put(key(1), b"old")
    results.put(key(1), b"new")
    assert len(results) == 1
    assert results.get(key(1)).encoded == b"new"
    assert results.remove(key(1))
    assert not results.remove(key(1))
    results.put(key(2), b"")
    results.clear()
    assert len(results) == 0


@pytest.fixture
def cas(tmp_path):
    return Cas(
        DigestFunctions(["SHA256"]),
        folder=tmp_path,
        memory_bytes=1 << 20,
        spill_threshold=1000,
        max_bytes=1 << 20,
        durable=False,
    )


def test_a_hit_reads_its_trees_once_as_long_as_nothing_is_evicted(cas, monkeypatch):
    store, complete = cas.store(SHA256), CompleteResults(ActionCache(), cas)
    leaf = store.put(b"leaf")
    tree = reapi.Tree(
        root=reapi.Directory(files=[reapi.FileNode(name="leaf", digest=message_of(leaf))])
    )
    digest = store.put(tree.SerializeToString())
    directory = reapi.OutputDirectory(path="d", tree_digest=message_of(digest))
    action = SHA256.of(b"action")
    complete.put(
        "", SHA256, action, reapi.ActionResult(output_directories=[directory]).SerializeToString()
    )
    assert complete.get("", SHA256, action) is not None
    used = store.last_used(leaf)
    monkeypatch.setattr(store, "get", None)
    monkeypatch.setattr(store, "entries", None)
    assert complete.get("", SHA256, action) is not None
    assert store.last_used(leaf) > used


def test_remembered_trees_are_bounded(cas):
    store = cas.store(SHA256)
    complete = CompleteResults(ActionCache(), cas, limit=2)
    for number in range(5):
        root = reapi.Directory(
            files=[reapi.FileNode(name=str(number), digest=message_of(store.empty))]
        )
        tree = store.put(reapi.Tree(root=root).SerializeToString())
        folder = store.put(root.SerializeToString())
        result = reapi.ActionResult(
            output_directories=[
                reapi.OutputDirectory(tree_digest=message_of(tree)),
                reapi.OutputDirectory(root_directory_digest=message_of(folder)),
            ]
        )
        action = SHA256.of(b"%d" % number)
        complete.put("", SHA256, action, result.SerializeToString())
        assert complete.get("", SHA256, action) is not None
    cas.clear()
    assert complete.get("", SHA256, SHA256.of(b"0")) is None


def test_a_result_that_can_not_be_read_is_none(cas):
    complete = CompleteResults(ActionCache(), cas)
    complete.put("", SHA256, SHA256.of(b"x"), b"\xff\xff")
    assert complete.get("", SHA256, SHA256.of(b"x")) is None
