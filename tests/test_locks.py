"""Shared fields are used under their lock only, whatever a server is busy with.

The second part makes threads meet where a lock keeps two of them from doing the same thing.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import pytest

from rpw_fixture import Server
from rpw_fixture.errors import Code
from rpw_fixture.events.kinds import InternalError, WorkerRetired
from rpw_fixture.events.log import EventLog
from rpw_fixture.storage.action_cache import ActionCache, ActionKey
from rpw_fixture.storage.chunk_layouts import ChunkLayouts
from rpw_fixture.storage.complete_results import CompleteResults
from rpw_fixture.wire.digests import SHA256, message_of
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.workers.stderr_tail import StderrTail
from tests.faults.bare_calls import bare, failing, writes
from tests.guarding import Guard
from tests.storage.small_stores import make_cas
from tests.workers.worker_actions import (
    CANCELLATION,
    MULTIPLEX,
    MUX,
    SANDBOX,
    begun,
    compile_action,
    probe_action,
    run_all,
    wait_for,
)

#: By class: the lock, and its fields with the functions that may use them without, on purpose: they
#: take one look at a number or a reference, or their callers hold the lock (a generator's frame).
LOCKS: Mapping[str, tuple[str, Mapping[str, Collection[str]]]] = {
    "events.log.EventLog": (
        "_lock",
        {"_next": (), "_records": ("__len__",), "_used": (), "_sinks": (), "_waiters": ()},
    ),
    "storage.action_cache.ActionCache": ("_lock", {"_entries": ("__len__",), "_used": ()}),
    "storage.blob_index.BlobIndex": (
        "lock",
        {"used": ("_make_room",), "memory_used": ("_make_room",), "_indexes": ("new_index",)},
    ),
    "storage.blob_index.Pins": ("_blob_index.lock", {"_blobs": ()}),
    "storage.blobs.BlobStore": (
        "blob_index.lock",
        {"by_hash": ("__len__", "_add_empty", "_find", "_open", "<lambda>", "add_data",
                     "add_verified", "adopt", "evict", "last_used", "missing", "shared")},
    ),
    "execution.job_queue.JobQueue": (
        "_lock",
        {
            "_pending": ("has_successors",),
            "_unwanted": (),
            "_room": ("add", "fill", "has_room", "is_at_work"),
            "_paused": ("_run", "add", "fill", "has_successors"),
            "_began": (),
        },
    ),
    "execution.operation.Operation": (
        "_lock",
        {"_watchers": ("is_wanted",), "_stage": (), "_timeline": (), "_asked_at": (),
         "_response": ("is_done",), "finished_at": ("_forget_old",)},
    ),
    "execution.operation.Execution": (
        "_lock", {"_operations": ("is_wanted",), "_stage": (), "_is_finished": ("is_finished",)}
    ),
    "execution.scheduler.Scheduler": (
        "_lock", {"_operations": (), "_mergeable": (), "_is_closed": ()}
    ),
    "execution.staging.changes.FolderWatcher": (
        "_lock", {"_sets": (), "_inotify": (), "_mounts": (), "_is_open": (), "_most_files": ()}
    ),
    "execution.staging.exec_roots.SharedRoot": ("_changed", {"_active": ()}),
    "execution.staging.exec_roots.SandboxedRoot": ("_lock", {"_free": ()}),
    "faults.registry.ArmedFault": ("_lock", {"_calls": (), "_hits": ("hits",)}),
    "faults.registry.Faults": ("_lock", {"_armed": ()}),
    "services.calls.waiting_streams.WaitingStream": (
        "_lock", {"_is_resting": (), "_was_woken": ()}
    ),
    "services.interceptors.activity.Activity": ("_lock", {"_open": (), "_last": ()}),
    "services.interceptors.counters.Counters": (
        "_lock",
        {"_methods": (), "_open": (), "_highest": ("highest_concurrency",),
         "_invocations": ("invocations",), "_targets": ("targets",), "_digests": ("digests",)},
    ),
    "services.uploads.Uploads": ("_lock", {"_kept": ("committed",)}),
    "support.cancellation.CancelToken": (
        "_lock", {"_is_cancelled": ("check", "is_cancelled"), "_callbacks": ()}
    ),
    "support.lazy.Lazy": ("_lock", {"_is_closed": ()}),
    "support.memo.Memo": ("_lock", {"_values": ("get",), "_weight": ()}),
    "support.pausing.Signal": ("_lock", {"count": ("_updates",), "_callbacks": ()}),
    "support.thread_pool.ThreadPool": (
        "_lock",
        {"_is_closed": (), "_spare": ("backlog", "busy"), "_threads": ("busy", "shutdown")},
    ),
    "workers.multiplex.Multiplex": (
        "_lock",
        {"_calls": (), "_cause": ("_failure_of",), "_connection": ("_overdue",)},
    ),
    "workers.singleplex.Singleplex": (
        "_lock", {"_connection": ("_check_time", "_converse"), "_cancel_grace": ()}
    ),
    "workers.protocol_memory.ProtocolMemory": (
        "changed", {"_answers": ("answer",), "_hints": ("first_guess",)}
    ),
    "workers.pool.WorkerPool": (
        "_lock",
        {"_alive": (), "_starting": (), "_waiters": (), "_ending": (), "_free": (),
         "_served_at": ("<lambda>",)},
    ),
    "workers.reaper.Reaper": ("_lock", {"_new": (), "_thread": ()}),
    "workers.stderr_tail.StderrTail": ("_lock", {"_kept": ("text",), "total": ("serve",)}),
    "workers.worker.Worker": ("_count_lock", {"requests": ("retired",)}),
}  # fmt: skip


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Guard:
    """Watches every field of `LOCKS`."""
    made = Guard(monkeypatch)
    for path, (lock, fields) in LOCKS.items():
        module, _, name = path.rpartition(".")
        made.watch(getattr(importlib.import_module(f"rpw_fixture.{module}"), name), lock, fields)
    return made


def test_shared_fields_are_used_under_their_lock(guard: Guard, tmp_path: Path) -> None:
    with Server(
        max_workers=3, count_digests=True, worker_idle_timeout=0.2, worker_max_rss=1 << 40, jobs=8
    ) as server:
        use_server(server, tmp_path)
    use_stores(tmp_path)
    use_stderr_tail()

    assert not guard.breaches
    fields = {
        f"{path.rpartition('.')[2]}.{name}" for path, (_, names) in LOCKS.items() for name in names
    }
    assert fields - guard.used == set(), "the test does not use them"


def use_server(server: Server, folder: Path) -> None:
    """Have a server do a bit of everything."""
    noted: list[object] = []
    server.events.add_sink(noted.append)
    compiling = [compile_action(f"a{number}", worker_key=f"key{number % 4}") for number in range(8)]
    run_all(server, compiling)
    for platform in (SANDBOX, MULTIPLEX):
        salts = (bytes([number]) for number in range(3))
        run_all(server, [probe_action(platform=platform, salt=salt, **MUX) for salt in salts])
    server.run(compiling[0])
    for number, platform in enumerate([{}, CANCELLATION, MULTIPLEX, {**MULTIPLEX, **CANCELLATION}]):
        running = begun(server, folder, f"cancelled{number}", platform=platform, **MUX)
        running.cancel()
        assert running.result().status == "CANCELLED"
    wait_for(server, WorkerRetired, lambda each: each.reason == "idle timeout")
    use_calls(server)
    assert server.events.wait_for(bool)
    server.events.remove_sink(noted.append)
    server.events.clear()
    server.reset()
    assert noted


def use_calls(server: Server) -> None:
    """Have counters read, faults strike, and an upload broken off and taken up again."""
    armed = server.faults.fail("FindMissingBlobs", Code.UNAVAILABLE, first=1)
    data = b"x" * 30_000
    with bare(server) as calls:
        with failing(Code.UNAVAILABLE):
            calls.missing(SHA256.of(data))
        messages = list(writes(data, 10_000))
        calls.call("Write", messages[:2])
        assert calls.call("Write", messages[2:]).committed_size == len(data)
    assert armed.hits == 1
    server.faults.clear()
    assert server.counters.methods
    assert server.counters.digests
    server.counters.reset()
    assert server.idle_seconds >= 0


def use_stores(folder: Path) -> None:
    """Have stores spill, evict, pin and forget, and an action cache drop its oldest."""
    cas = make_cas(folder / "cas", memory_bytes=3000, max_bytes=9000, spill_threshold=1000)
    store = cas.store(SHA256)
    blobs = [bytes([number]) * 900 for number in range(12)]
    with store.pin([store.put(blobs[0])]):
        digests = [store.put(blob) for blob in blobs]
        assert store.get(digests[0]) == blobs[0]
    assert set(store.digests()) > {digests[-1]}
    assert store.evict(digests[-1].__eq__) == 1
    tree = reapi.Tree(root=reapi.Directory()).SerializeToString()
    folder_of_tree = reapi.OutputDirectory(tree_digest=message_of(store.put(tree)))
    results = CompleteResults(ActionCache(), cas)
    result = reapi.ActionResult(output_directories=[folder_of_tree]).SerializeToString()
    results.put("", SHA256, digests[0], result)
    assert results.get("", SHA256, digests[0]) == result
    layouts = ChunkLayouts()
    whole = SHA256.of(blobs[0] + blobs[-2])
    layouts.splice(store, whole, [digests[0], digests[-2]])
    assert layouts.split(store, whole) == (digests[0], digests[-2])

    cache = ActionCache(max_bytes=900)
    keys = [ActionKey("", "SHA256", digest) for digest in digests[:3]]
    for key in keys:
        cache.put(key, b"result")
    assert cache.get(keys[0]) is None
    assert cache.get(keys[2]) is not None
    assert cache.remove(keys[2])
    cache.clear()
    assert not len(cache)


def use_stderr_tail() -> None:
    """Have the end of what a worker says kept."""
    reading, writing = os.pipe()
    tail = StderrTail(reading)
    os.write(writing, b"said")
    os.close(writing)
    assert not tail.drain()
    os.close(reading)
    assert tail.since(0) == b"said"


# --- threads that meet ---


def together(count: int, do: Callable[[int], object]) -> None:
    """Do something in several threads that all begin at the same moment."""
    barrier = threading.Barrier(count)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        barrier.wait()
        try:
            do(number)
        except BaseException as error:  # noqa: BLE001 - raised below, in the test
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class Meeting:
    """Wraps a function that threads must not be in at the same time, and makes them try."""

    def __init__(self, wrapped: Callable[..., object]) -> None:
        self._wrapped = wrapped
        self._inside = 0
        self._left = threading.Event()
        self.most = 0

    def __call__(self, *arguments: object) -> object:
        self._inside += 1
        self.most = max(self.most, self._inside)
        self._left.wait(0.1)  # long enough for the others to come in, if they can
        try:
            return self._wrapped(*arguments)
        finally:
            self._inside -= 1


def test_one_thread_at_a_time_makes_room_in_the_store(tmp_path: Path) -> None:
    cas = make_cas(tmp_path, memory_bytes=1000, max_bytes=2000)
    store = cas.store(SHA256)
    index = store.blob_index
    for method in ("_evict", "_spill"):
        setattr(index, method, Meeting(getattr(index, method)))

    together(3, lambda number: [store.put(bytes([number, each]) * 300) for each in range(4)])

    assert index._evict.most == index._spill.most == 1  # type: ignore[attr-defined]


def test_a_blob_put_by_many_threads_counts_once(tmp_path: Path) -> None:
    store = make_cas(tmp_path).store(SHA256)

    together(8, lambda _: [store.put(bytes([each]) * 50) for each in range(100)])

    assert store.blob_index.used == 100 * 50
    assert len(store.digests()) == 100 + 1  # and the empty one


def test_events_of_many_threads_have_numbers_without_gaps() -> None:
    log = EventLog()

    together(8, lambda _: [log.append(InternalError(where="here", detail="")) for _ in range(200)])

    assert [each.seq for each in log] == list(range(1, 1601))
