"""One Bazel server for all interop tests, and what a local build gives, to compare with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from .bazel import LOCAL, BazelWorkspace
from .requirements import find_tls_library, require_bazel, require_jdk


@pytest.fixture(scope="session")
def shared_workspace() -> Iterator[BazelWorkspace]:
    """The workspace that all tests of this process use one after the other."""
    tls = find_tls_library()
    with BazelWorkspace(require_bazel(), require_jdk(), tls) as workspace:
        yield workspace


@pytest.fixture(scope="session")
def local_outputs(shared_workspace: BazelWorkspace) -> Mapping[str, bytes]:
    """What Bazel builds of ``//...`` on this machine, with no worker and no server involved."""
    shared_workspace.restore()
    shared_workspace.clean()
    result = shared_workspace.build(flags=LOCAL)
    assert result.exit_code == 0, result.stderr
    return result.outputs


@pytest.fixture
def workspace(
    shared_workspace: BazelWorkspace, local_outputs: Mapping[str, bytes]
) -> BazelWorkspace:
    """The shared workspace as it was laid out, with nothing built."""
    shared_workspace.restore()
    shared_workspace.clean()
    return shared_workspace
