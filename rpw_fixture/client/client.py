"""`Client`: runs an action, from the upload of its inputs to its outcome."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from rpw_fixture._version import __version__
from rpw_fixture.client.action import Action
from rpw_fixture.client.channel import (
    CAPABILITIES,
    EXECUTION,
    OPERATIONS,
    Channel,
    missing_of,
)
from rpw_fixture.client.encoding import EncodedAction, encode
from rpw_fixture.client.outcome import ActionOutcome, Check
from rpw_fixture.client.results import outcome_of
from rpw_fixture.client.transfer import Transfer
from rpw_fixture.errors import Code, ConfigError, EnvironmentLacksError, RequestError
from rpw_fixture.support.closing import Closeable
from rpw_fixture.wire.digests import FUNCTIONS, Digest, DigestFunction, message_of
from rpw_fixture.wire.protos import longrunning
from rpw_fixture.wire.protos import remote_execution as reapi

REQUEST_METADATA_KEY = "build.bazel.remote.execution.v2.requestmetadata-bin"
_ATTEMPTS = 5
_FIRST_PAUSE = 0.05
#: Statuses of a broken connection, not of the request; proxies report a reset as INTERNAL.
_BROKEN = {Code.UNAVAILABLE, Code.UNKNOWN, Code.INTERNAL, Code.ABORTED}


class Client(Closeable):
    """A client of one REAPI endpoint; several threads may use it.

    Args:
        endpoint: ``grpc://HOST:PORT``, ``grpcs://HOST:PORT`` for TLS, or ``unix:PATH``.
        instance_name: of every request.
        headers: metadata of every call, such as ``{"authorization": "Bearer …"}``.
        tls_ca: PEM file with the certificates to trust; the default is the system's.
        tls_cert, tls_key: PEM files with the client's certificate and private key.
        digest_function: such as ``SHA256``; if empty, one that the server offers.
        timeout: limit for one call in seconds; does not limit executions.

    Raises:
        ConfigError: for arguments that cannot be used.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        instance_name: str = "",
        headers: Mapping[str, str] = MappingProxyType({}),
        tls_ca: str | Path | None = None,
        tls_cert: str | Path | None = None,
        tls_key: str | Path | None = None,
        digest_function: str = "",
        timeout: float = 60.0,
    ) -> None:
        self.endpoint = endpoint
        self.instance_name = instance_name
        self.invocation = str(uuid.uuid4())
        self._timeout = timeout
        self._wanted_function = digest_function.upper()
        self._channel = Channel(
            endpoint, headers=headers, tls_ca=tls_ca, tls_cert=tls_cert, tls_key=tls_key
        )
        self._capabilities: reapi.ServerCapabilities | None = None
        self._transfer: Transfer | None = None

    def run(
        self,
        action: Action,
        *,
        skip_cache_lookup: bool = False,
        check: Check = True,
        timeout: float | None = None,
        on_operation: Callable[[str], None] | None = None,
    ) -> ActionOutcome:
        """Execute an action and wait for its outcome.

        Args:
            skip_cache_lookup: execute it even if the action cache has its result.
            check: raise if the status is not OK; with ``"exit"`` also for an exit code other than 0.
            timeout: seconds after which to stop waiting and cancel the operation.
            on_operation: called with the operation's name as soon as it is known.

        Raises:
            ActionFailedError: if the action failed; see ``check``.
            RequestError: if a call failed.
        """
        encoded = self._encode(action)
        self.upload(encoded.blobs)
        execution = _Execution(self, action, encoded, skip_cache_lookup, timeout, on_operation)
        response = execution.run()
        outcome = outcome_of(response, action, encoded.digest, execution.operation, self._blobs())
        outcome.raise_for(check)
        return outcome

    def capabilities(self) -> reapi.ServerCapabilities:
        """Return the server's capabilities, which are fetched once.

        Raises:
            EnvironmentLacksError: if no server answers at the endpoint.
        """
        if self._capabilities is None:
            request = reapi.GetCapabilitiesRequest(instance_name=self.instance_name)
            try:
                self._capabilities = self._channel.call(
                    CAPABILITIES, "GetCapabilities", request, timeout=self._timeout
                )
            except RequestError as error:
                if error.code is Code.UNAVAILABLE:
                    raise EnvironmentLacksError(f"no REAPI server answers: {error}") from None
                raise
        return self._capabilities

    @property
    def digest_function(self) -> DigestFunction:
        """The function that makes this client's digests."""
        return self._blobs().function

    @property
    def is_legacy(self) -> bool:
        """Whether the server's newest API is 2.0, which does not know ``output_paths``."""
        version = self.capabilities().high_api_version
        return (version.major, version.minor) == (2, 0)

    def digest_of(self, action: Action) -> str:
        """Return the digest of the Action message as this client sends it: ``hash/size``."""
        return str(self._encode(action).digest)

    def find_missing(self, digests: Iterable[Digest]) -> set[Digest]:
        """Return the digests that the server does not have.

        Raises:
            RequestError: if the call failed.
        """
        return self._blobs().find_missing(digests)

    def upload(self, blobs: Mapping[Digest, bytes]) -> None:
        """Upload the blobs that the server does not have.

        Raises:
            RequestError: if a call failed.
        """
        missing = self.find_missing(blobs)
        self._blobs().upload({digest: blobs[digest] for digest in missing})

    def download(self, digests: Iterable[Digest]) -> dict[Digest, bytes]:
        """Download blobs and check each against its digest.

        Raises:
            RequestError: NOT_FOUND, DATA_LOSS, or the status of a call that failed.
        """
        return self._blobs().download(digests)

    def execute(
        self,
        digest: Digest,
        *,
        skip_cache_lookup: bool = False,
        inline_outputs: Iterable[str] = (),
        mnemonic: str = "",
        target: str = "",
        timeout: float | None = None,
    ) -> Iterator[longrunning.Operation]:
        """Make one Execute call and yield its messages, without any retry.

        Raises:
            RequestError: if the call failed.
        """
        request, metadata = self.execute_call(
            digest,
            skip_cache_lookup=skip_cache_lookup,
            inline_outputs=inline_outputs,
            mnemonic=mnemonic,
            target=target,
        )
        yield from self._channel.call(
            EXECUTION, "Execute", request, metadata=metadata, timeout=timeout
        )

    def execute_call(
        self,
        digest: Digest,
        *,
        skip_cache_lookup: bool = False,
        inline_outputs: Iterable[str] = (),
        mnemonic: str = "",
        target: str = "",
    ) -> tuple[reapi.ExecuteRequest, tuple[tuple[str, bytes], ...]]:
        """Return the request of an Execute call and its metadata, without making the call."""
        request = reapi.ExecuteRequest(
            instance_name=self.instance_name,
            action_digest=message_of(digest),
            skip_cache_lookup=skip_cache_lookup,
            inline_stdout=True,
            inline_stderr=True,
            inline_output_files=inline_outputs,
            digest_function=self.digest_function.number if self.digest_function.is_named else 0,
        )
        return request, self._metadata(digest, mnemonic, target)

    def wait(
        self, operation: str, *, timeout: float | None = None
    ) -> Iterator[longrunning.Operation]:
        """Make one WaitExecution call and yield its messages.

        Raises:
            RequestError: if the call failed; NOT_FOUND if the server does not know the operation.
        """
        request = reapi.WaitExecutionRequest(name=operation)
        yield from self._channel.call(EXECUTION, "WaitExecution", request, timeout=timeout)

    def cancel(self, operation: str) -> None:
        """Cancel an operation.

        Raises:
            RequestError: if the call failed.
        """
        request = longrunning.CancelOperationRequest(name=operation)
        self._channel.call(OPERATIONS, "CancelOperation", request, timeout=self._timeout)

    def close(self) -> None:
        """Close the connection; running calls fail."""
        self._channel.close()

    def _encode(self, action: Action) -> EncodedAction:
        return encode(action, self.digest_function, is_legacy=self.is_legacy)

    def _blobs(self) -> Transfer:
        if self._transfer is None:
            cache = self.capabilities().cache_capabilities
            self._transfer = Transfer(
                channel=self._channel,
                instance_name=self.instance_name,
                function=_choose(self._wanted_function, cache.digest_functions),
                batch_limit=cache.max_batch_total_size_bytes,
                timeout=self._timeout,
            )
        return self._transfer

    def _metadata(
        self, digest: Digest, mnemonic: str, target: str
    ) -> tuple[tuple[str, bytes], ...]:
        message = reapi.RequestMetadata(
            tool_details=reapi.ToolDetails(tool_name="rpw_fixture", tool_version=__version__),
            action_id=digest.hash,
            tool_invocation_id=self.invocation,
            action_mnemonic=mnemonic,
            target_id=target,
        )
        return ((REQUEST_METADATA_KEY, message.SerializeToString()),)


class _Execution:
    """One execution of an action, which survives broken streams and lost blobs."""

    def __init__(
        self,
        client: Client,
        action: Action,
        encoded: EncodedAction,
        skip_cache_lookup: bool,
        timeout: float | None,
        on_operation: Callable[[str], None] | None,
    ) -> None:
        self._client = client
        self._action = action
        self._encoded = encoded
        self._skip_cache_lookup = skip_cache_lookup
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._on_operation = on_operation
        self.operation = ""

    def run(self) -> reapi.ExecuteResponse:
        """Return the response; upload again whatever blobs the server lost."""
        for _ in range(_ATTEMPTS):
            try:
                response = self._until_done()
                missing = missing_of(response.status)
            except RequestError as error:
                if not error.missing:
                    raise
                missing = error.missing
            if not self._upload_again(missing):
                return response
        raise RequestError(
            Code.FAILED_PRECONDITION,
            f"{self._client.endpoint} still lacks {missing[0]} after {_ATTEMPTS} uploads",
        )

    def _until_done(self) -> reapi.ExecuteResponse:
        self.operation = ""
        pause = _FIRST_PAUSE
        for attempt in range(_ATTEMPTS):
            try:
                response = self._follow(self._stream())
            except RequestError as error:
                if not self._may_recover(error, is_last=attempt == _ATTEMPTS - 1):
                    raise
                time.sleep(pause)
                pause *= 2
                continue
            if response is not None:
                return response
        raise RequestError(
            Code.UNAVAILABLE,
            f"{self._client.endpoint} ended the stream {_ATTEMPTS} times before the action ended",
        )

    def _stream(self) -> Iterator[longrunning.Operation]:
        remaining = None if self._deadline is None else self._deadline - time.monotonic()
        if self.operation:
            return self._client.wait(self.operation, timeout=remaining)
        return self._client.execute(
            self._encoded.digest,
            skip_cache_lookup=self._skip_cache_lookup,
            inline_outputs=[each.rstrip("/") for each in self._action.outputs],
            mnemonic=self._action.mnemonic,
            target=self._action.target,
            timeout=remaining,
        )

    def _follow(self, updates: Iterator[longrunning.Operation]) -> reapi.ExecuteResponse | None:
        for update in updates:
            if update.name != self.operation:
                self.operation = update.name
                if self._on_operation is not None:
                    self._on_operation(update.name)
            if update.done:
                return response_of(update)
        return None

    def _may_recover(self, error: RequestError, *, is_last: bool) -> bool:
        """Return whether to try again."""
        if error.code is Code.NOT_FOUND and self.operation and not is_last:
            self.operation = ""  # the server forgot it, as after a restart: execute it again
            return True
        if error.code is Code.DEADLINE_EXCEEDED and self.operation:
            self._client.cancel(self.operation)
        return not is_last and error.code in _BROKEN

    def _upload_again(self, missing: tuple[str, ...]) -> bool:
        """Upload the action's blobs that the server lacks; return False if it lacks none."""
        if missing:
            self._client.upload(self._encoded.blobs)
        return bool(missing)


def response_of(operation: longrunning.Operation) -> reapi.ExecuteResponse:
    """Return the response in a finished operation."""
    response = reapi.ExecuteResponse()
    if operation.WhichOneof("result") == "error":
        response.status.CopyFrom(operation.error)
    else:
        operation.response.Unpack(response)
    return response


def _choose(wanted: str, offered: Iterable[int]) -> DigestFunction:
    numbers = list(offered)
    if wanted:
        if wanted not in FUNCTIONS:
            raise ConfigError(
                f"digest function {wanted!r} is not supported here; supported are {', '.join(FUNCTIONS)}"
            )
        return FUNCTIONS[wanted]
    known = [each for each in FUNCTIONS.values() if each.number in numbers or not numbers]
    if not known:
        names = ", ".join(reapi.DigestFunction.Value.Name(each) for each in numbers)
        raise EnvironmentLacksError(
            f"none of the server's digest functions is supported here: {names}"
        )
    return known[0]
