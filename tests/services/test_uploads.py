"""Unfinished uploads: kept, resumed, replaced and forgotten."""

from __future__ import annotations

import pytest

from rpw_fixture.errors import RequestError
from rpw_fixture.services.uploads import Uploads
from rpw_fixture.storage.writer import BlobWriter
from rpw_fixture.wire.digests import SHA256

DATA = b"some content"


@pytest.fixture
def writers(tmp_path, cas):
    """Makes writers of one blob, and lists those made."""
    made = []

    def make():
        made.append(BlobWriter(cas.store(SHA256), SHA256.of(DATA)))
        return made[-1]

    make.made = made
    make.files = lambda: [path for path in tmp_path.rglob("*") if path.is_file()]
    return make


def suspended(uploads, writers, name, size):
    upload = uploads.begin(name, 0, writers)
    upload.writer.write(DATA[:size])
    uploads.suspend(upload)
    return upload


def test_a_suspended_upload_goes_on_where_it_ended(writers):
    uploads = Uploads()
    first = suspended(uploads, writers, "a", 5)
    assert uploads.committed("a") == 5
    assert uploads.begin("a", 5, writers) is first
    first.writer.write(DATA[5:])
    first.writer.commit()
    uploads.end(first)
    assert uploads.committed("a") == 0
    assert len(writers.files()) == 1


def test_no_two_streams_go_on_with_one_upload(writers):
    uploads = Uploads()
    first = suspended(uploads, writers, "a", 5)
    uploads.begin("a", 5, writers)
    with pytest.raises(RequestError, match="committed size is 5"):
        uploads.begin("a", 5, writers)
    other = uploads.begin("a", 0, writers)
    other.writer.write(DATA[:7])
    uploads.suspend(other)
    assert uploads.committed("a") == 5
    uploads.interrupt(first)
    assert uploads.committed("a") == 5
    uploads.clear()
    assert writers.files() == []


def test_the_further_of_two_uploads_is_kept(writers):
    uploads = Uploads()
    for size, kept in ((5, 5), (3, 5), (8, 8)):
        suspended(uploads, writers, "a", size)
        assert uploads.committed("a") == kept
        assert len(writers.files()) == 1
    uploads.clear()
    assert writers.files() == []


def test_an_interrupted_upload_is_forgotten_unless_it_was_reported(writers):
    uploads = Uploads()
    uploads.interrupt(uploads.begin("a", 0, writers))
    assert writers.files() == []
    suspended(uploads, writers, "a", 5)
    again = uploads.begin("a", 5, writers)
    again.writer.write(DATA[5:7])
    uploads.interrupt(again)
    assert uploads.committed("a") == 7
    uploads.clear()


def test_an_upload_under_the_same_name_that_succeeds_ends_the_kept_one(writers):
    uploads = Uploads()
    suspended(uploads, writers, "a", 5)
    whole = uploads.begin("a", 0, writers)
    whole.writer.write(DATA)
    whole.writer.commit()
    uploads.end(whole)
    assert uploads.committed("a") == 0
    assert len(writers.files()) == 1


def test_a_limited_number_of_uploads_is_kept(writers):
    uploads = Uploads(limit=3)
    for number in range(5):
        suspended(uploads, writers, str(number), 5)
    assert [uploads.committed(str(number)) for number in range(5)] == [0, 0, 5, 5, 5]
    assert len(writers.files()) == 3
    uploads.clear()
    assert writers.files() == []
