"""Our protocols beside a user's generated copies of them, on every supported major of protobuf.

Each combination is a separate process (coexist_child.py) that sees the standard library, this
checkout and one folder with a protobuf, buildgrid-common and a `worker_protocol_pb2` compiled by a
grpcio-tools of that protobuf's age. The folders are kept below RPW_FIXTURE_TEST_CACHE if it is set.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rpw_fixture.wire.protos import DESCRIPTOR_SET

CHILD = Path(__file__).with_name("coexist_child.py")
CHECKOUT = DESCRIPTOR_SET.parents[3]
WORKER_PROTOCOL = DESCRIPTOR_SET.parent / "blaze" / "worker" / "worker_protocol.proto"
BUILDGRID_COMMON = "0.5.2"

# The newest release of each major, and the last grpcio-tools whose output it can load.
COMPILERS = {"4.25.9": "1.62.3", "5.29.6": "1.71.2", "6.33.6": "1.80.0", "7.36.2": "1.85.1"}

VERSIONS = [
    pytest.param(
        version,
        marks=pytest.mark.skipif(
            version.startswith("4.") and sys.version_info >= (3, 13),
            reason="no grpcio-tools of protobuf 4's age has a wheel for this Python",
        ),
    )
    for version in COMPILERS
]


def unavailable(reason: str) -> None:
    """Skip, or fail where the environment promises that these tests can run."""
    if os.environ.get("RPW_FIXTURE_REQUIRE_INTEROP") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def install(folder: Path, *requirements: str) -> None:
    if importlib.util.find_spec("pip") is None:
        unavailable("pip is not installed")
    flags = ["--quiet", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"]
    flags += ["--retries=1", "--timeout=30"]  # offline should be found out soon
    command = [sys.executable, "-m", "pip", "install", *flags, "--target", str(folder)]
    done = subprocess.run([*command, *requirements], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        unavailable(f"pip could not install {' '.join(requirements)}: {last}")


def compile_worker_protocol(folder: Path, scratch: Path) -> None:
    """Do what a worker's author does: compile the protocol from a separate folder."""
    source = scratch / "worker_protocol.proto"
    shutil.copyfile(WORKER_PROTOCOL, source)
    program = f"import sys; sys.path[:0] = [{str(folder)!r}]; from grpc_tools import protoc; "
    flags = ["protoc", f"-I{scratch}", f"--python_out={folder}", str(source)]
    program += f"sys.exit(protoc.main({flags!r}))"
    subprocess.run([sys.executable, "-ISc", program], check=True)


@pytest.fixture(scope="session")
def theirs(tmp_path_factory):
    """Return a function that makes, once, the folder with everything a user has installed."""
    cached = os.environ.get("RPW_FIXTURE_TEST_CACHE")
    cache = Path(cached) if cached else tmp_path_factory.mktemp("protobuf")

    def prepare(version: str) -> Path:
        python = f"{sys.implementation.cache_tag}-{sys.platform}"
        compiler = COMPILERS[version]
        folder = cache / f"protobuf-{version}-{compiler}-{BUILDGRID_COMMON}-{python}"
        if folder.exists():
            return folder
        scratch = tmp_path_factory.mktemp("scratch")
        building = scratch / "site"
        wanted = [f"protobuf=={version}", f"grpcio-tools=={compiler}"]
        install(building, *wanted, f"buildgrid-common=={BUILDGRID_COMMON}")
        compile_worker_protocol(building, scratch)
        cache.mkdir(parents=True, exist_ok=True)
        return publish(building, folder)

    return prepare


def publish(building: Path, folder: Path) -> Path:
    """Move a finished folder to its place in one step; a parallel run may have been faster."""
    beside = folder.with_name(f"{folder.name}.{os.getpid()}")
    shutil.move(building, beside)
    try:
        beside.rename(folder)
    except OSError:
        shutil.rmtree(beside)
        if not folder.exists():
            raise
    return folder


@pytest.mark.parametrize("order", ["OURS_FIRST", "THEIRS_FIRST"])
@pytest.mark.parametrize("implementation", ["upb", "python"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_users_generated_copies_and_ours_read_each_other_in_one_process(
    theirs, version, implementation, order
):
    folder = theirs(version)
    environment = {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation}
    command = [sys.executable, "-ISB", str(CHILD), order, version, str(folder), str(CHECKOUT)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
