"""What survives a restart, and what a server finds after it was killed."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys

import pytest

from rpw_fixture.config import Config
from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.server.stores import open_stores
from rpw_fixture.storage import durable_folder
from rpw_fixture.storage.action_cache import ActionCache, ActionKey
from rpw_fixture.storage.cas import Cas
from rpw_fixture.storage.durable_folder import DurableFolder
from rpw_fixture.storage.recording_folder import (
    UNRECORDED_FILE,
    RecordingFolder,
    blob_path,
    reasons_for_gaps,
)
from rpw_fixture.wire.digests import FUNCTIONS, SHA256, DigestFunctions

SIZES = [1, 500, 5000]


def open_cas(folder, **settings):
    values = {"memory_bytes": 1 << 20, "spill_threshold": 1000, "max_bytes": 1 << 20, **settings}
    return Cas(DigestFunctions(["SHA256", "SHA1"]), folder=folder, durable=True, **values)


@pytest.fixture
def reopened(tmp_path):
    """Opens a CAS in one folder again and again, closing the one before."""
    opened = []

    def reopen(**settings):
        for cas in opened:
            cas.close()
        opened.append(open_cas(tmp_path, **settings))
        return opened[-1]

    yield reopen
    for cas in opened:
        cas.close()


def blob_files(folder):
    return [path for path in (folder / "sha256").rglob("*") if path.is_file()]


@pytest.mark.parametrize("size", SIZES)
def test_blobs_survive_a_restart(reopened, size):
    data = os.urandom(size)
    digest = reopened().store(SHA256).put(data)
    store = reopened().store(SHA256)
    assert store.get(digest) == data
    assert store.get(digest) == data
    assert b"".join(store.read(digest)) == data


def test_each_function_finds_its_own_blobs_again(reopened):
    sha1 = FUNCTIONS["SHA1"]
    digest = reopened().store(sha1).put(b"content")
    cas = reopened()
    assert cas.store(sha1).get(digest) == b"content"
    assert len(cas.store(SHA256)) == 1


def test_an_evicted_blob_is_gone_after_a_restart_too(reopened, tmp_path):
    cas = reopened()
    digest = cas.store(SHA256).put(b"content")
    cas.clear()
    assert blob_files(tmp_path) == []
    assert not reopened().store(SHA256).contains(digest)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data + b"!"])
def test_a_file_of_another_length_is_deleted_not_served(reopened, tmp_path, size, damage):
    digest = reopened().store(SHA256).put(os.urandom(size))
    (path,) = blob_files(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    assert not reopened().store(SHA256).contains(digest)
    assert blob_files(tmp_path) == []


def test_after_the_machine_went_down_content_is_hashed_again(reopened, tmp_path):
    cas = reopened()
    whole, torn = (cas.store(SHA256).put(data) for data in (b"whole", b"torn"))
    for path in blob_files(tmp_path):
        if path.name.startswith(torn.hash):
            path.write_bytes(bytes(4))
    (tmp_path / "boot_id").write_text("another boot")
    store = reopened().store(SHA256)
    assert store.missing([whole, torn]) == [torn]
    assert len(blob_files(tmp_path)) == 1


def test_files_of_other_names_are_deleted(reopened, tmp_path):
    reopened()
    (tmp_path / "sha256" / "ab").mkdir(parents=True)
    (tmp_path / "sha256" / "ab" / "nonsense").write_bytes(b"x")
    (tmp_path / "tmp" / "unfinished").write_bytes(b"x")
    reopened()
    assert blob_files(tmp_path) == []
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_smaller_budget_keeps_the_newest(reopened, tmp_path):
    store = reopened().store(SHA256)
    digests = [store.put(bytes([number]) * 600) for number in range(5)]
    for path in blob_files(tmp_path):
        age = next(n for n, digest in enumerate(digests) if path.name.startswith(digest.hash))
        os.utime(path, (age, age))
    cas = reopened(max_bytes=1500)
    assert cas.used <= 1500
    assert cas.store(SHA256).contains(digests[-1])
    assert not cas.store(SHA256).contains(digests[0])
    assert reopened(max_bytes=100).used == 0


def test_one_folder_serves_one_server(tmp_path):
    cas = open_cas(tmp_path)
    with pytest.raises(EnvironmentLacksError, match="another server"):
        open_cas(tmp_path)
    cas.close()
    cas.close()
    open_cas(tmp_path).close()


KILLED = """
import hashlib, sys
from pathlib import Path
from rpw_fixture.storage.action_cache import ActionCache, ActionKey
from rpw_fixture.storage.cas import Cas
from rpw_fixture.wire.digests import SHA256, DigestFunctions
folder = Path(sys.argv[1])
cas = Cas(DigestFunctions(["SHA256"]), folder=folder / "cas", memory_bytes=10_000,
          spill_threshold=1000, max_bytes=1 << 30, durable=True)
results = ActionCache(folder / "results")
for number in range(10**9):
    data = hashlib.sha512(b"%d" % number).digest() * (number % 200 + 1)
    digest = cas.store(SHA256).put(data)
    results.put(ActionKey("", "SHA256", digest), digest.hash.encode())
    print(number, flush=True)
"""


def test_what_was_acknowledged_is_there_after_sigkill(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            if int(line) >= 300:
                process.send_signal(signal.SIGKILL)
                break
        lines = process.stdout.read().splitlines()
    last = max([300, *(int(line) for line in lines if line.isdigit())]) - 1
    cas = open_cas(tmp_path / "cas", max_bytes=1 << 30)
    results = ActionCache(tmp_path / "results")
    store = cas.store(SHA256)
    for number in range(last):
        data = hashlib.sha512(b"%d" % number).digest() * (number % 200 + 1)
        digest = SHA256.of(data)
        assert store.get(digest) == data
        assert results.get(ActionKey("", "SHA256", digest)).encoded == digest.hash.encode()
    for digest in store.digests():
        assert SHA256.of(store.get(digest)) == digest
    cas.close()
    results.close()


def key(data, instance=""):
    return ActionKey(instance, "SHA256", SHA256.of(data))


def test_results_survive_a_restart_and_torn_ones_do_not(tmp_path):
    results = ActionCache(tmp_path)
    results.put(key(b"one"), b"result")
    results.put(key(b"one", "other"), b"")
    results.put(key(b"torn"), b"another")
    results.close()
    for path in (tmp_path / "results").rglob("*"):
        if path.is_file() and path.read_bytes().endswith(b"another"):
            path.write_bytes(path.read_bytes()[:-1])
    results = ActionCache(tmp_path)
    assert results.get(key(b"one")).encoded == b"result"
    assert results.get(key(b"one", "other")).encoded == b""
    assert results.get(key(b"torn")) is None
    results.clear()
    assert results.get(key(b"one")) is None
    results.close()


def test_the_folder_of_results_is_pruned_when_it_is_opened(tmp_path):
    results = ActionCache(tmp_path)
    for number in range(10):
        results.put(key(b"%d" % number), b"result")
    results.close()
    results = ActionCache(tmp_path, max_files=3)
    assert sum(results.get(key(b"%d" % number)) is not None for number in range(10)) == 3
    results.close()


def test_a_folder_is_suspect_after_another_boot_and_where_boots_are_unknown(tmp_path, monkeypatch):
    boot = tmp_path / "boot"
    monkeypatch.setattr(durable_folder, "_BOOT_ID", boot)

    def is_suspect():
        folder = DurableFolder(tmp_path / "folder")
        folder.close()
        return folder.is_suspect

    assert [is_suspect(), is_suspect()] == [True, True]
    boot.write_text("one")
    assert [is_suspect(), is_suspect()] == [True, False]
    boot.write_text("two")
    assert [is_suspect(), is_suspect()] == [True, False]


def test_a_recording_that_can_not_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentLacksError, match=r"--record .*file/recording: Not a directory"):
        RecordingFolder(tmp_path / "file/recording", "--record")


def test_reasons_for_gaps_are_read_as_far_as_they_are_whole(tmp_path):
    assert reasons_for_gaps(tmp_path) == ()
    (tmp_path / UNRECORDED_FILE).write_text(
        '{"reason": "a"}\n[]\n{}\n7\n{"reason": "b"}\n{"reason": "a"}\n{"rea'
    )
    assert reasons_for_gaps(tmp_path) == ("a", "b")
    (tmp_path / UNRECORDED_FILE).write_bytes(b"\xff")
    assert reasons_for_gaps(tmp_path) == ()


def test_stores_that_can_not_all_be_opened_leave_nothing_open(tmp_path):
    (tmp_path / "ac").touch()

    def open_all():
        return open_stores(
            Config(root=str(tmp_path)), DigestFunctions(["SHA256"]), tmp_path, lambda *_: None
        )

    with pytest.raises(OSError, match="ac"):
        open_all()
    (tmp_path / "ac").unlink()
    open_all().close()


@pytest.mark.parametrize("digest", ["", "abc", "/5", "a/b/5", "../5", "abc/x", "abc/-1"])
def test_what_is_no_digest_has_no_place_in_a_recording(tmp_path, digest):
    with pytest.raises(ValueError, match="is not a digest"):
        blob_path(tmp_path, digest)
    assert blob_path(tmp_path, "abcd/5") == tmp_path / "blobs/ab/abcd-5"
