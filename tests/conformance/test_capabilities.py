"""Capabilities and health: points 1 to 18, and 185."""

from __future__ import annotations

import threading

import grpc
import pytest

from rpw_fixture.config import Config
from rpw_fixture.errors import ConfigError
from rpw_fixture.services.health import HealthService
from rpw_fixture.wire.protos import health
from rpw_fixture.wire.protos import remote_execution as own

from .client import refused


def capabilities(served, instance=""):
    request = own.GetCapabilitiesRequest(instance_name=instance)
    return served.client.own("Capabilities").GetCapabilities(request)


@pytest.mark.point(1)
@pytest.mark.point(2)
def test_cache_and_execution_capabilities_are_both_there(served):
    response = capabilities(served)
    assert response.HasField("cache_capabilities")
    assert response.HasField("execution_capabilities")
    assert response.execution_capabilities.exec_enabled


@pytest.mark.point(3)
@pytest.mark.point(4)
def test_the_first_digest_function_is_the_one_old_clients_compare_with(serve):
    response = capabilities(serve(digest_functions=("SHA1", "SHA256")))
    execution, cache = response.execution_capabilities, response.cache_capabilities
    assert execution.digest_function == own.DigestFunction.SHA1
    assert list(execution.digest_functions) == [own.DigestFunction.SHA1, own.DigestFunction.SHA256]
    assert list(cache.digest_functions) == list(execution.digest_functions)


@pytest.mark.point(5)
def test_versions_from_2_0_to_the_configured_one_are_announced(served, api):
    response = capabilities(served)
    low, high = response.low_api_version, response.high_api_version
    assert (low.major, low.minor) == (2, 0)
    assert (high.major, high.minor) == ((2, 0) if api == "2.0" else (2, 12))
    assert not response.HasField("deprecated_api_version")


@pytest.mark.point(6)
@pytest.mark.parametrize("version", ["2.0", "2.1", "2.3.1"])
def test_the_newest_version_can_be_lowered_to_test_old_wire_formats(serve, version):
    high = capabilities(serve(high_api_version=version)).high_api_version
    assert f"{high.major}.{high.minor}.{high.patch}".startswith(version)


def test_a_version_that_is_none_is_refused():
    with pytest.raises(ConfigError, match=r"two"):
        Config(high_api_version="two")


@pytest.mark.point(7)
@pytest.mark.point(8)
def test_the_batch_limit_leaves_room_below_what_grpc_receives_by_default(served):
    limit = capabilities(served).cache_capabilities.max_batch_total_size_bytes
    assert 1 << 20 <= limit <= (4 << 20) - (64 << 10)


@pytest.mark.point(9)
@pytest.mark.point(10)
def test_zstd_and_deflate_are_announced_for_streams_and_batches(served):
    cache = capabilities(served).cache_capabilities
    expected = [own.Compressor.ZSTD, own.Compressor.DEFLATE]
    assert list(cache.supported_compressors) == expected
    assert list(cache.supported_batch_update_compressors) == expected


@pytest.mark.point(11)
@pytest.mark.point(12)
def test_chunking_is_announced_with_parameters_that_bazel_takes(served):
    cache = capabilities(served).cache_capabilities
    average = cache.fast_cdc_2020_params.avg_chunk_size_bytes
    assert cache.split_blob_support
    assert cache.splice_blob_support
    assert 1 << 10 <= average <= 1 << 20
    assert average & (average - 1) == 0
    assert not cache.HasField("rep_max_cdc_params")


@pytest.mark.point(13)
def test_results_may_be_uploaded(served):
    assert capabilities(served).cache_capabilities.action_cache_update_capabilities.update_enabled


@pytest.mark.point(14)
def test_absolute_symlinks_are_allowed(served):
    strategy = capabilities(served).cache_capabilities.symlink_absolute_path_strategy
    assert strategy == own.SymlinkAbsolutePathStrategy.ALLOWED


@pytest.mark.point(15)
def test_every_priority_is_covered(served):
    response = capabilities(served)
    for each in (
        response.execution_capabilities.execution_priority_capabilities,
        response.cache_capabilities.cache_priority_capabilities,
    ):
        (range_,) = each.priorities
        assert (range_.min_priority, range_.max_priority) == (-(2**31), 2**31 - 1)


@pytest.mark.point(16)
def test_the_largest_blob_is_announced(serve):
    served = serve(max_blob_bytes=12345)
    assert capabilities(served).cache_capabilities.max_cas_blob_size_bytes == 12345


@pytest.mark.point(17)
@pytest.mark.point(18)
def test_any_instance_name_gets_the_same_answer_on_the_first_call(served):
    assert capabilities(served, "projects/p/instances/i") == capabilities(served)


@pytest.mark.point(185)
@pytest.mark.parametrize("service", ["", "google.bytestream.ByteStream"])
def test_the_server_and_its_services_are_healthy(served, service):
    stub = served.client.own("grpc.health.v1.Health")
    response = stub.Check(health.HealthCheckRequest(service=service))
    assert response.status == health.HealthCheckResponse.SERVING


@pytest.mark.point(185)
def test_the_health_of_an_unknown_service_is_not_found(served):
    stub = served.client.own("grpc.health.v1.Health")
    with refused(grpc.StatusCode.NOT_FOUND, "no.such.Service"):
        stub.Check(health.HealthCheckRequest(service="no.such.Service"))


@pytest.mark.point(185)
def test_all_services_are_listed_with_their_health(served):
    stub = served.client.own("grpc.health.v1.Health")
    statuses = stub.List(health.HealthListRequest()).statuses
    assert {"", "grpc.health.v1.Health", "google.bytestream.ByteStream"} <= set(statuses)


@pytest.mark.point(185)
def test_a_watch_tells_the_health_now_and_ends_with_its_client(served):
    stub = served.client.own("grpc.health.v1.Health")
    watch = stub.Watch(health.HealthCheckRequest(service=""))
    assert next(watch).status == health.HealthCheckResponse.SERVING
    watch.cancel()
    unknown = stub.Watch(health.HealthCheckRequest(service="no.such.Service"))
    assert next(unknown).status == health.HealthCheckResponse.SERVICE_UNKNOWN
    unknown.cancel()


def test_a_watcher_learns_that_serving_stops_and_the_watch_ends():
    class Context:
        def add_callback(self, callback):
            return True

        def is_active(self):
            return True

    class Watching:
        context = Context()

    service = HealthService([])
    watch = service.watch(health.HealthCheckRequest(service=""), Watching())
    assert next(watch).status == health.HealthCheckResponse.SERVING
    stopping = threading.Thread(target=service.stop_serving)
    stopping.start()
    assert [response.status for response in watch] == [health.HealthCheckResponse.NOT_SERVING]
    stopping.join()
