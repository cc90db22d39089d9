"""A gRPC channel to an endpoint, whose calls raise `RequestError` instead of gRPC's errors."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from rpw_fixture.client import tls
from rpw_fixture.client.existing_server import parse
from rpw_fixture.errors import Code, RequestError
from rpw_fixture.wire.protos import Method, methods, rpc

_DETAILS_KEY = "grpc-status-details-bin"
_REAPI = "build.bazel.remote.execution.v2"
CAPABILITIES = f"{_REAPI}.Capabilities"
CAS = f"{_REAPI}.ContentAddressableStorage"
EXECUTION = f"{_REAPI}.Execution"
BYTESTREAM = "google.bytestream.ByteStream"
OPERATIONS = "google.longrunning.Operations"


class Channel:
    """A connection, opened when it is first used.

    Args:
        endpoint: ``grpc://HOST:PORT``, ``grpcs://HOST:PORT`` for TLS, or ``unix:PATH``.
        headers: metadata of every call.
        tls_ca: PEM file with the certificates to trust; the default is the system's.
        tls_cert, tls_key: PEM files with the client's certificate and private key.

    Raises:
        ConfigError: for an endpoint or a file that cannot be used.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        headers: Mapping[str, str],
        tls_ca: str | Path | None,
        tls_cert: str | Path | None,
        tls_key: str | Path | None,
    ) -> None:
        self.endpoint = endpoint
        self._headers = tuple((name.lower(), value) for name, value in headers.items())
        scheme, target = parse(endpoint)
        options = channel_options(target)
        if scheme == "grpcs":
            credentials = tls.credentials(ca=tls_ca, cert=tls_cert, key=tls_key)
            self._channel = grpc.secure_channel(target, credentials, options)
        else:
            tls.refuse_files(endpoint, tls_ca, tls_cert, tls_key)
            self._channel = grpc.insecure_channel(target, options)
        self._callables: dict[str, Callable[..., Any]] = {}

    def call(
        self,
        service: str,
        name: str,
        request: Any,
        *,
        metadata: tuple[tuple[str, str | bytes], ...] = (),
        timeout: float | None = None,
    ) -> Any:
        """Call a method and return its response; of a streaming method, an iterator of responses.

        Args:
            request: a message; for a method that takes a stream, an iterator of messages.
            metadata: of this call, in addition to the headers.
            timeout: seconds.

        Raises:
            RequestError: with the status of a call that failed; the iterator may raise it too.
        """
        method = methods(service)[name]
        function = self._callables.get(method.path) or self._make(method)
        with self._translated(method):
            response = function(request, metadata=(*self._headers, *metadata), timeout=timeout)
        return self._iterate(response, method) if method.server_streaming else response

    def close(self) -> None:
        """Close the connection; running calls fail."""
        self._channel.close()

    def _make(self, method: Method) -> Callable[..., Any]:
        kinds: dict[tuple[bool, bool], Callable[..., Any]] = {
            (False, False): self._channel.unary_unary,
            (False, True): self._channel.unary_stream,
            (True, False): self._channel.stream_unary,
            (True, True): self._channel.stream_stream,
        }
        made: Callable[..., Any] = kinds[method.client_streaming, method.server_streaming](
            method.path,
            request_serializer=method.request_class.SerializeToString,
            response_deserializer=method.response_class.FromString,
        )
        return self._callables.setdefault(method.path, made)

    def _iterate(self, responses: Any, method: Method) -> Iterator[Any]:
        try:
            with self._translated(method):
                yield from responses
        finally:
            responses.cancel()

    @contextmanager
    def _translated(self, method: Method) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise request_error(self.endpoint, error, method) from None
        except ValueError as error:  # what grpc raises when the channel is closed
            raise RequestError(Code.UNAVAILABLE, f"{self.endpoint}: {error}") from None


def request_error(endpoint: str, error: Any, method: Method) -> RequestError:
    """Return gRPC's error of a call as one of this package."""
    code = Code(error.code().value[0])
    text = f"{endpoint} {method.path.rpartition('/')[2]}: {code.name}: {error.details()}"
    details = dict(error.trailing_metadata() or ()).get(_DETAILS_KEY, b"")
    return RequestError(code, text, missing=missing_of(rpc.Status.FromString(details)))


def missing_of(status: rpc.Status) -> tuple[str, ...]:
    """Return the subjects of the ``MISSING`` violations in a status."""
    subjects: list[str] = []
    for detail in status.details:
        failure = rpc.PreconditionFailure()
        if detail.Unpack(failure):
            subjects += [each.subject for each in failure.violations if each.type == "MISSING"]
    return tuple(subjects)


def channel_options(target: str) -> list[tuple[str, int]]:
    """Return the options of a channel to a target."""
    options = [
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        # Without it, a channel to a port of a former server inherits the back-off of its connection.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if _is_local(target):
        options.append(("grpc.enable_http_proxy", 0))
    return options


def _is_local(target: str) -> bool:
    host = target.rpartition(":")[0].strip("[]")
    try:
        return target.startswith("unix:") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
