"""Getting published workers: from npm, from PyPI, from Debian's Bazel."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from tests.real_workers.published import WORKERS, PublishedWorker

#: Bazel's own classes, WorkRequestHandler among them.
JAR = Path("/usr/share/bazel/A-server.jar")
_PATIENCE = 180.0
#: What a worker can't do without, in whatever language.
_SIGNS = (b"persistent_worker", b"runAsWorker", b"runWorkerLoop")


class NotHadError(Exception):
    """A package that this machine can't get; the message says why."""


def install(worker: PublishedWorker, folder: Path, *, with_sources: bool = True) -> None:
    """Put what a worker needs into a folder, with the sources of what comes compiled.

    Raises:
        NotHadError: npm, pip, the JDK, Bazel or a package is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if worker.npm:
        _need("npm")
        _need("node")
        (folder / "package.json").write_text("{}\n")
        # No scripts of packages are run: the workers need none.
        _run(
            [
                "npm",
                "install",
                "--silent",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                *worker.npm,
            ],
            folder,
        )
    if worker.pip:
        target = ["--target", str(folder / "python")]
        _run([sys.executable, "-m", "pip", "install", "--quiet", *target, *worker.pip], folder)
    if worker.java:
        if not JAR.exists():
            raise NotHadError(f"there is no {JAR} (Debian: apt-get install bazel-bootstrap)")
        _need("javac")
        source = str(WORKERS / worker.java)
        if with_sources:
            _unpack_sources(folder)
        _run(
            ["javac", "-proc:none", "-cp", str(JAR), "-d", str(folder / "classes"), source], folder
        )


def versions(worker: PublishedWorker) -> str:
    """Return packages and versions, as the page names them."""
    if worker.java:
        query = ["dpkg-query", "-W", "-f", "${Package} ${Version}", "bazel-bootstrap"]
        try:
            shown = subprocess.run(query, capture_output=True, text=True, check=False).stdout
        except OSError:
            shown = ""
        return f"Debian's {shown or 'bazel-bootstrap'}"
    return ", ".join((*worker.npm, *worker.pip))


def has_worker(package: str, folder: Path) -> bool:
    """Return whether any file of an npm package mentions what a worker needs.

    Raises:
        NotHadError: npm or the package is missing.
    """
    _need("npm")
    folder.mkdir(parents=True, exist_ok=True)
    _run(["npm", "pack", "--silent", package], folder)
    (path,) = folder.glob(f"{package.lstrip('@').replace('/', '-').rpartition('@')[0]}-*.tgz")
    with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as archive:
        files = [archive.extractfile(each) for each in archive if each.isfile()]
        texts = [each.read() for each in files if each is not None]
    return any(sign in text for text in texts for sign in _SIGNS)


def _unpack_sources(folder: Path) -> None:
    """Put Bazel's sources into a folder, for who wants to know what the jar does."""
    _need("apt-get")
    _run(["apt-get", "download", "--quiet", "bazel-bootstrap-source"], folder)
    (package,) = folder.glob("bazel-bootstrap-source_*.deb")
    _run(["dpkg-deb", "--extract", str(package), str(folder / "sources")], folder)
    (folder / "sources/usr/src/bazel-bootstrap").rename(folder / "bazel")


def _need(program: str) -> None:
    if shutil.which(program) is None:
        raise NotHadError(f"there is no {program} on PATH")


def _run(command: Sequence[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotHadError(f"{command[0]} took more than {_PATIENCE:.0f} s") from None
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "it says nothing").splitlines()[-1]
        raise NotHadError(f"{' '.join(command[:3])} failed: {last}")
