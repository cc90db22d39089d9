"""The beginning of the zipapp: unpack what a Python needs, once, and run it.

Extension modules can't be loaded from an archive. Below a cache folder there are, for each Python,

    ID-PYTHON            a link to the generation in use; ID is the digest of the archive's content
    ID-PYTHON.lock       locked while somebody unpacks
    ID-PYTHON.XXXXXXXX/  a generation: the unpacked files, and `.in-use`

as the single file does it (launcher.c says why). Each start compares all files with the checksums in the
archive.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator

_PREFIX = "site/"
_ABANDONED, _UNUSED = 60, 30 * 24 * 3600  # seconds
_ENVIRONMENT_LACKS = 3


def main() -> None:
    """Run the program in the archive."""
    if sys.version_info < (3, 11):  # noqa: UP036 - any Python may be asked to run it
        sys.exit(_fail(f"needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}"))
    archive = os.path.abspath(sys.argv[0])
    try:
        with zipfile.ZipFile(archive) as opened:
            folder = _Cache(opened).find()
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        sys.exit(_fail(f"{archive} is not whole, copy or download it again: {error}"))
    sys.path[0] = folder
    sys._xoptions["rpw_fixture_zipapp"] = archive  # noqa: SLF001 - documented, in spite of its name
    from rpw_fixture.cli import main as run  # noqa: PLC0415 - it has just been unpacked

    sys.exit(run())


def _fail(message: str) -> int:
    sys.stderr.write(f"rpw-fixture: {message}\n")
    return _ENVIRONMENT_LACKS


class _Cache:
    """The unpacked archive, below the first cache folder that works."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._name = f"{archive.comment.decode()}-{sys.implementation.cache_tag}"
        ours = f".{sys.implementation.cache_tag}-"
        self._members = [
            each
            for each in archive.infolist()
            if each.filename.startswith(_PREFIX)
            and (".cpython-" not in each.filename or ours in each.filename)
        ]
        if not any("cygrpc" in each.filename for each in self._members):
            sys.exit(
                _fail(
                    f"has no gRPC for {sys.implementation.cache_tag}: install the package with pip"
                )
            )

    def find(self) -> str:
        """Return the folder with the packages; unpack them if need be."""
        problems = []
        for cache in _cache_folders():
            try:
                return self._find_below(cache)
            except OSError as error:
                problems.append(f"\n  {cache}: {error.strerror or error}")
        advice = "cannot unpack itself anywhere; set XDG_CACHE_HOME to a folder that you can write:"
        sys.exit(_fail(advice + "".join(problems)))

    def _find_below(self, cache: str) -> str:
        os.makedirs(cache, 0o700, exist_ok=True)
        status = os.lstat(cache)
        if (
            not stat.S_ISDIR(status.st_mode)
            or status.st_uid != os.geteuid()
            or status.st_mode & 0o022
        ):
            raise PermissionError(0, "belongs to or can be written by another user")
        found = self._current(cache)
        if found:
            return found
        with open(os.path.join(cache, f"{self._name}.lock"), "w") as lock:
            _lock(lock.fileno(), fcntl.LOCK_EX)
            found = self._current(cache)  # another one may have unpacked it while we waited
            if not found:
                self._unpack(cache)
                found = self._current(cache)
                _clean_up(cache)
        if not found:
            raise OSError(0, "what was unpacked there is not what was written")
        return found

    def _current(self, cache: str) -> str | None:
        """Return the current generation if it is whole, and keep it in use."""
        try:
            folder = os.path.join(cache, os.readlink(os.path.join(cache, self._name)))
            in_use = os.open(os.path.join(folder, ".in-use"), os.O_RDWR)
        except OSError:
            return None
        usable = _lock(in_use, fcntl.LOCK_SH | fcntl.LOCK_NB) and os.fstat(in_use).st_nlink
        if usable and all(_is_whole(folder, each) for each in self._members):
            os.utime(in_use)
            return folder  # the descriptor stays open, and locked, as long as this process lives
        os.close(in_use)
        return None

    def _unpack(self, cache: str) -> None:
        folder = tempfile.mkdtemp(prefix=f"{self._name}.", dir=cache)
        try:
            with open(os.path.join(folder, ".in-use"), "w") as in_use:
                _lock(in_use.fileno(), fcntl.LOCK_EX)
                for each in self._members:
                    path = os.path.join(folder, each.filename[len(_PREFIX) :])
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                    with open(path, "xb") as file:
                        file.write(self._archive.read(each))
                link = os.path.join(folder, ".link")
                os.symlink(os.path.basename(folder), link)
                os.rename(link, os.path.join(cache, self._name))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _is_whole(folder: str, member: zipfile.ZipInfo) -> bool:
    try:
        with open(os.path.join(folder, member.filename[len(_PREFIX) :]), "rb") as file:
            content = file.read()
    except OSError:
        return False
    return len(content) == member.file_size and zlib.crc32(content) == member.CRC


def _cache_folders() -> Iterator[str]:
    configured, home = os.environ.get("XDG_CACHE_HOME", ""), os.environ.get("HOME", "")
    if configured.startswith("/"):
        yield os.path.join(configured, "rpw_fixture", "zipapp")
    elif home.startswith("/"):
        yield os.path.join(home, ".cache", "rpw_fixture", "zipapp")
    temporary = (
        os.environ.get("TMPDIR", ""),
        "/tmp",
        "/var/tmp",
        os.environ.get("TEST_TMPDIR", ""),
    )
    for each in filter(os.path.isabs, temporary):
        if os.access(each, os.W_OK | os.X_OK):
            yield os.path.join(each, f"rpw-fixture-zipapp-{os.geteuid()}")


def _lock(file: int, kind: int) -> bool:
    """Return whether it is locked, which it counts as where a file system has no locks."""
    try:
        fcntl.flock(file, kind)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _clean_up(cache: str) -> None:
    for name in os.listdir(cache):
        link, _, rest = name.partition(".")
        if rest and rest != "lock":
            with contextlib.suppress(OSError):
                _remove_unused(cache, link, name)


def _remove_unused(cache: str, link: str, name: str) -> None:
    """Remove a generation unless it is in use, or is what a link leads to and was used lately."""
    folder, link = os.path.join(cache, name), os.path.join(cache, link)
    is_current = os.path.islink(link) and os.readlink(link) == name
    try:
        in_use = os.open(os.path.join(folder, ".in-use"), os.O_RDWR)
    except FileNotFoundError:
        if time.time() - os.stat(folder).st_mtime > _ABANDONED:
            shutil.rmtree(folder, ignore_errors=True)
        return
    try:
        is_old = time.time() - os.fstat(in_use).st_mtime > _UNUSED
        if not is_current or is_old:
            fcntl.flock(in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_current:
                os.unlink(link)
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(in_use)


if __name__ == "__main__":
    main()
