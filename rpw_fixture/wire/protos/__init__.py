"""The protocols spoken here: REAPI, ByteStream, long-running operations, health, workers, execution logs.

Here are the `.proto` files, `protocols.binpb` compiled from them, and one namespace object for each
protocol, which has a `.pyi` stub but no module. `.ci/regenerate_protos.py` writes the descriptor set
and the stubs. What messages mean does not belong here.

    from rpw_fixture.wire.protos import remote_execution as reapi, worker, wkt

A namespace has messages, enums and top-level enum values by their simple names, as generated
modules do. Everything is built when a name is first used, because importing protobuf takes long.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from . import bytestream as bytestream
    from . import health as health
    from . import longrunning as longrunning
    from . import remote_execution as remote_execution
    from . import rpc as rpc
    from . import semver as semver
    from . import spawn as spawn
    from . import wkt as wkt
    from . import worker as worker
    from ._registry import Method, message_class, method, methods, pool

__all__: Final = [
    "DESCRIPTOR_SET",
    "NAMESPACES",
    "Method",
    "bytestream",
    "health",
    "longrunning",
    "message_class",
    "method",
    "methods",
    "pool",
    "remote_execution",
    "rpc",
    "semver",
    "spawn",
    "wkt",
    "worker",
]

DESCRIPTOR_SET: Final = Path(__file__).with_name("protocols.binpb")
"""The compiled protocols: a serialized FileDescriptorSet, imports included."""

NAMESPACES: Final[Mapping[str, tuple[str, ...]]] = {
    "bytestream": ("google/bytestream/bytestream.proto",),
    "health": ("grpc/health/v1/health.proto",),
    "longrunning": ("google/longrunning/operations.proto",),
    "remote_execution": ("build/bazel/remote/execution/v2/remote_execution.proto",),
    "rpc": ("google/rpc/code.proto", "google/rpc/error_details.proto", "google/rpc/status.proto"),
    "semver": ("build/bazel/semver/semver.proto",),
    "spawn": ("tools/spawn.proto",),
    "wkt": (
        "google/protobuf/any.proto",
        "google/protobuf/duration.proto",
        "google/protobuf/empty.proto",
        "google/protobuf/timestamp.proto",
        "google/protobuf/wrappers.proto",
    ),
    "worker": ("blaze/worker/worker_protocol.proto",),
}
"""The files whose names each namespace of the package holds."""

if not TYPE_CHECKING:  # a visible __getattr__ would make every misspelt name pass the type check

    def __getattr__(name: str) -> object:
        """Return a name of the registry, which is built for the first one; then keep it in this module."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
        # The import system's lock on the registry makes the first use thread-safe.
        value = getattr(importlib.import_module(f"{__name__}._registry"), name)
        return globals().setdefault(name, value)

    def __dir__() -> list[str]:
        """Return all names, built or not."""
        return sorted({*globals(), *__all__})
