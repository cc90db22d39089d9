"""Results in a folder: whole or not at all, whatever becomes of the programs that use it."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rpw_fixture.hermeticity.trials.result_store import ResultStore
from rpw_fixture.wire.digests import SHA256

KEY, OTHER = (hashlib.sha256(name).hexdigest() for name in (b"one", b"other"))
BLOB = b"content of an output"
DIGEST = SHA256.of(BLOB)
WRITER = """
import sys
from pathlib import Path
from rpw_fixture.hermeticity.trials.result_store import ResultStore
store = ResultStore(Path(sys.argv[1]))
print("ready", flush=True)
number = 0
while True:
    number += 1
    store.write_result("ab" + "0" * 62, (b"%d " % number) * 100_000)
"""


def files(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file() and each.name != "CACHEDIR.TAG"]


def test_what_was_written_is_read_by_the_next_program(tmp_path: Path) -> None:
    first = ResultStore(tmp_path)
    first.write_blob(DIGEST, BLOB)
    first.write_result(KEY, b"document")
    first.close()
    later = ResultStore(tmp_path)
    assert later.read_result(KEY) == b"document"
    assert later.read_blob(DIGEST) == BLOB
    assert later.read_result(OTHER) is None
    assert later.read_blob(SHA256.of(b"other")) is None


def test_the_folder_is_the_users_alone_and_marked_as_a_cache(tmp_path: Path) -> None:
    ResultStore(tmp_path / "deep" / "cache")
    assert (tmp_path / "deep" / "cache").stat().st_mode & 0o777 == 0o700
    tag = (tmp_path / "deep" / "cache" / "CACHEDIR.TAG").read_text()
    assert tag.startswith("Signature: 8a477f597d28d172789f06886806bc55\n")


@pytest.mark.parametrize(
    "damage", [b"", b"rubbish", b"\n", None], ids=["empty", "rubbish", "no digest", "cut"]
)
def test_a_damaged_document_counts_as_missing_and_can_be_written_again(
    tmp_path: Path, damage: bytes | None
) -> None:
    store = ResultStore(tmp_path)
    store.write_result(KEY, b"document")
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[:-1] if damage is None else damage)
    assert store.read_result(KEY) is None
    assert not path.exists()
    store.write_result(KEY, b"document")
    assert store.read_result(KEY) == b"document"


def test_damaged_content_counts_as_missing(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.write_blob(DIGEST, BLOB)
    (path,) = files(tmp_path)
    path.write_bytes(BLOB.upper())
    assert store.read_blob(DIGEST) is None
    store.write_blob(DIGEST, BLOB)
    assert store.read_blob(DIGEST) == BLOB


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    store = ResultStore(tmp_path, limit=5_000)
    names = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(8)]
    for age, name in enumerate(names):
        store.write_result(name, bytes(1_000))
        for path in files(tmp_path):
            if path.parent.name + path.name == name:
                os.utime(path, (1_000_000 + age, 1_000_000 + age))
    assert store.read_result(names[0]) is not None  # it is used now
    store.close()
    kept = [name for name in names if ResultStore(tmp_path).read_result(name) is not None]
    assert kept == [names[0], *names[6:]]


def test_a_folder_within_its_limit_is_left_alone(tmp_path: Path) -> None:
    store = ResultStore(tmp_path, limit=5_000)
    store.write_result(KEY, bytes(1_000))
    store.close()
    assert len(files(tmp_path)) == 1


def test_what_a_killed_program_left_unfinished_is_removed(tmp_path: Path) -> None:
    store = ResultStore(tmp_path, limit=100)
    old, new = (tmp_path / "check-results-1" / "new" / name for name in ("1-old", "1-new"))
    for each in (old, new):
        each.write_bytes(b"unfinished")
    os.utime(old, (1_000_000, 1_000_000))
    store.write_result(KEY, bytes(1_000))
    store.close()
    assert not old.exists()
    assert new.exists()  # its program may be at work


def test_several_programs_may_write_and_be_killed(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    store, key = ResultStore(tmp_path), "ab" + "0" * 62
    seen = set()
    try:
        for each in writers:
            assert each.stdout is not None
            assert each.stdout.readline() == b"ready\n"
        while len(seen) < 5:
            if (document := store.read_result(key)) is not None:
                seen.add(document.partition(b" ")[0])
                assert document == (document.partition(b" ")[0] + b" ") * 100_000
    finally:
        for each in writers:
            each.send_signal(signal.SIGKILL)
            each.communicate()
    document = store.read_result(key)
    assert document is not None
    assert len(set(document.split())) == 1


def test_threads_share_a_store(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)

    def write() -> None:
        for number in range(50):
            store.write_result(KEY, b"%d" % number)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert store.read_result(KEY) == b"49"


def test_a_place_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        ResultStore(tmp_path / "file")
