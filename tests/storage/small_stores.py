"""A CAS as the tests of stores want it, and what is on disk."""

from __future__ import annotations

from rpw_fixture.storage.cas import Cas
from rpw_fixture.storage.writer import BlobWriter
from rpw_fixture.wire.digests import DigestFunctions

SPILL = 1000
SIZES = [0, 1, SPILL - 1, SPILL, SPILL + 1, 5000]


def make_cas(folder, *, names=("SHA256", "SHA1"), durable=False, **settings):
    values = {"memory_bytes": 1 << 20, "spill_threshold": SPILL, "max_bytes": 1 << 30, **settings}
    return Cas(DigestFunctions(names), folder=folder, durable=durable, **values)


def files_below(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def write_whole(store, digest, data):
    with BlobWriter(store, digest) as writer:
        writer.write(data)
        writer.commit()
