"""The Capabilities service: the features and limits of this server, built once.

Other modules enforce the limits; only this one reports them to clients.
"""

from __future__ import annotations

from rpw_fixture.config import Config
from rpw_fixture.services.base import Call, Service, rpc
from rpw_fixture.wire.chunking import AVERAGE_BYTES, SEED
from rpw_fixture.wire.compression import available
from rpw_fixture.wire.digests import DigestFunctions
from rpw_fixture.wire.node_properties import NODE_PROPERTIES
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.wire.protos import semver

#: Most bytes of blobs in one batch. Clients fill a batch exactly up to this limit, and gRPC accepts
#: messages of 4 MiB by default. Digest and lengths take about 80 bytes for each blob, so a message with
#: 3 MiB of blobs stays below 4 MiB if the blobs have 300 bytes or more.
BATCH_BYTES = 3 << 20
#: Bazel rejects a priority outside the announced ranges, so announce all values.
_PRIORITIES = reapi.PriorityCapabilities.PriorityRange(
    min_priority=-(1 << 31), max_priority=(1 << 31) - 1
)


class CapabilitiesService(Service):
    """The service build.bazel.remote.execution.v2.Capabilities."""

    name = "build.bazel.remote.execution.v2.Capabilities"

    def __init__(self, config: Config, functions: DigestFunctions) -> None:
        numbers = [function.number for function in functions.offered]
        self._response = reapi.ServerCapabilities(
            cache_capabilities=_cache(config, numbers),
            execution_capabilities=reapi.ExecutionCapabilities(
                # Old clients compare this one with the function they use.
                digest_function=numbers[0],
                digest_functions=numbers,
                exec_enabled=True,
                execution_priority_capabilities=_priorities(),
                supported_node_properties=sorted(NODE_PROPERTIES),
            ),
            low_api_version=semver.SemVer(major=2, minor=0),
            high_api_version=_version(config.high_api_version),
        ).SerializeToString()

    @rpc("GetCapabilities")
    def get_capabilities(self, _request: reapi.GetCapabilitiesRequest, _call: Call) -> bytes:
        """Return the capabilities, which are the same for every instance name."""
        return self._response


def _cache(config: Config, functions: list[int]) -> reapi.CacheCapabilities:
    compressors, strategy = sorted(available()), reapi.SymlinkAbsolutePathStrategy
    return reapi.CacheCapabilities(
        digest_functions=functions,
        action_cache_update_capabilities=reapi.ActionCacheUpdateCapabilities(update_enabled=True),
        cache_priority_capabilities=_priorities(),
        max_batch_total_size_bytes=BATCH_BYTES,
        symlink_absolute_path_strategy=(
            strategy.ALLOWED if config.absolute_symlinks else strategy.DISALLOWED
        ),
        supported_compressors=compressors,
        supported_batch_update_compressors=compressors,
        max_cas_blob_size_bytes=config.max_blob_bytes,
        split_blob_support=True,
        splice_blob_support=True,
        fast_cdc_2020_params=reapi.FastCdc2020Params(avg_chunk_size_bytes=AVERAGE_BYTES, seed=SEED),
    )


def _priorities() -> reapi.PriorityCapabilities:
    return reapi.PriorityCapabilities(priorities=[_PRIORITIES])


def _version(text: str) -> semver.SemVer:
    major, minor, patch = (*map(int, text.split(".")), 0)[:3]
    return semver.SemVer(major=major, minor=minor, patch=patch)
