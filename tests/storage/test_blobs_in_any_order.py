"""A blob store through any order of calls, and under many threads at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)

from rpw_fixture.errors import RequestError
from rpw_fixture.storage.writer import BlobWriter
from rpw_fixture.wire.digests import SHA256

from .small_stores import files_below, make_cas

# --- threads ---


def test_many_threads_put_read_and_evict_without_a_torn_blob(tmp_path):
    cas = make_cas(tmp_path, memory_bytes=20_000, max_bytes=60_000)
    store = cas.store(SHA256)
    blobs = [bytes([number]) * (137 * number % 3000 + 1) for number in range(60)]
    start = threading.Barrier(8)

    def work(offset):
        start.wait()
        for step in range(300):
            blob = blobs[(offset * 7 + step * 13) % len(blobs)]
            digest = store.put(blob)
            found = store.get_or_none(digest)
            assert found is None or found == blob
            with store.pin([digest]) as pins:
                assert pins.absent or store.get(digest) == blob

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    present = store.digests()
    assert cas.used == sum(digest.size for digest in present)
    assert all(SHA256.of(store.get(digest)) == digest for digest in present)
    assert len(files_below(tmp_path)) <= len(present)


# --- everything together ---


class StoreMachine(RuleBasedStateMachine):
    """A store next to a dict, through any order of calls."""

    folders = None
    written = Bundle("written")

    def __init__(self):
        super().__init__()
        self.folder = self.folders.mktemp("machine")
        self.cas = make_cas(self.folder, memory_bytes=3000)
        self.store = self.cas.store(SHA256)
        self.model = {self.store.empty: b""}
        self.writers = []

    blobs = st.binary(max_size=5).flatmap(lambda data: st.integers(0, 700).map(lambda n: data * n))

    @rule(data=blobs)
    def put(self, data):
        self.model[self.store.put(data)] = data

    @rule(target=written, data=blobs)
    def begin(self, data):
        self.writers.append(BlobWriter(self.store, SHA256.of(data)))
        return self.writers[-1], data

    @rule(begun=consumes(written), pieces=st.integers(1, 5), spoil=st.booleans())
    def finish(self, begun, pieces, spoil):
        writer, data = begun
        content = data[:-1] if spoil else data
        step = len(content) // pieces + 1
        for start in range(0, len(content), step):
            writer.write(content[start : start + step])
        try:
            writer.commit()
        except RequestError:
            assert content != data
        else:
            self.model[SHA256.of(data)] = data

    @rule(begun=consumes(written))
    def abort(self, begun):
        begun[0].abort()

    @rule(limit=st.integers(0, 4000))
    def evict(self, limit):
        self.cas.evict(lambda _function, digest: digest.size > limit)
        self.model = {d: data for d, data in self.model.items() if not d.size or d.size <= limit}

    @invariant()
    def all_is_there_and_nothing_else(self):
        assert set(self.store.digests()) == set(self.model)
        assert self.cas.used == sum(map(len, self.model.values()))
        assert self.cas.memory_used <= 3000
        for digest, data in self.model.items():
            assert self.store.get(digest) == data

    def teardown(self):
        for writer in self.writers:
            writer.abort()
        self.cas.clear()
        assert files_below(self.folder) == []


def test_a_store_is_a_dict_through_any_order_of_calls(tmp_path_factory):
    class Machine(StoreMachine):
        folders = tmp_path_factory

    run_state_machine_as_test(Machine, settings=settings(max_examples=30, stateful_step_count=20))
