"""The client: running an action from upload to outcome."""

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
from rpw_fixture.client.outcome import ActionFailedError, ActionOutcome
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
#: Statuses of a broken connection, not of the request; INTERNAL is how proxies report a reset.
_BROKEN = {Code.UNAVAILABLE, Code.UNKNOWN, Code.INTERNAL, Code.ABORTED}


class Client(Closeable):
    """Speaks REAPI to one endpoint; may be used from several threads.

    Args:
        endpoint: ``grpc://HOST:PORT``, ``grpcs://HOST:PORT`` for TLS, or ``unix:PATH``.
        instance_name: of every request.
        headers: metadata of every call, such as ``{"authorization": "Bearer …"}``.
        tls_ca: file with the certificates to trust, PEM; the system's when not given.
        tls_cert, tls_key: files with the client's certificate and key, PEM.
        digest_function: such as ``SHA256``; when empty, one that the server offers.
        timeout: seconds that one call may take; executions are not limited by it.

    Raises:
        ConfigError: for arguments that can't be used.
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
        check: bool = True,
        timeout: float | None = None,
        on_operation: Callable[[str], None] | None = None,
    ) -> ActionOutcome:
        """Has an action executed and waits for how it ended.

        Args:
            skip_cache_lookup: execute it even if its result is known.
            check: raise when the status is not OK; an exit code other than 0 never raises.
            timeout: seconds after which to give up, cancelling the operation.
            on_operation: called with the operation's name as soon as it is known.

        Raises:
            ActionFailedError: the action could not be run to its end.
            RequestError: a call failed.
        """
        encoded = self._encode(action)
        self.upload(encoded.blobs)
        execution = _Execution(self, action, encoded, skip_cache_lookup, timeout, on_operation)
        response = execution.run()
        outcome = outcome_of(response, action, encoded.digest, execution.operation, self._blobs())
        if check and outcome.status != "OK":
            raise ActionFailedError(outcome)
        return outcome

    def capabilities(self) -> reapi.ServerCapabilities:
        """What the server can do; asked once.

        Raises:
            EnvironmentLacksError: when nobody answers there.
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
        """The server speaks no newer API than 2.0, which has no ``output_paths``."""
        version = self.capabilities().high_api_version
        return (version.major, version.minor) == (2, 0)

    def digest_of(self, action: Action) -> str:
        """The digest of the Action message as this client sends it: ``hash/size``."""
        return str(self._encode(action).digest)

    def find_missing(self, digests: Iterable[Digest]) -> set[Digest]:
        """Those of ``digests`` that the server does not have.

        Raises:
            RequestError: the call failed.
        """
        return self._blobs().find_missing(digests)

    def upload(self, blobs: Mapping[Digest, bytes]) -> None:
        """Sends those of ``blobs`` that the server does not have.

        Raises:
            RequestError: a call failed.
        """
        missing = self.find_missing(blobs)
        self._blobs().upload({digest: blobs[digest] for digest in missing})

    def download(self, digests: Iterable[Digest]) -> dict[Digest, bytes]:
        """Fetches blobs; each is checked against its digest.

        Raises:
            RequestError: NOT_FOUND, DATA_LOSS, or whatever else went wrong.
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
        """One Execute call: how the operation fares, message by message. Nothing is retried.

        Raises:
            RequestError: the call failed.
        """
        request = reapi.ExecuteRequest(
            instance_name=self.instance_name,
            action_digest=message_of(digest),
            skip_cache_lookup=skip_cache_lookup,
            inline_stdout=True,
            inline_stderr=True,
            inline_output_files=inline_outputs,
            digest_function=self.digest_function.number if self.digest_function.is_named else 0,
        )
        metadata = self._metadata(digest, mnemonic, target)
        yield from self._channel.call(
            EXECUTION, "Execute", request, metadata=metadata, timeout=timeout
        )

    def wait(
        self, operation: str, *, timeout: float | None = None
    ) -> Iterator[longrunning.Operation]:
        """One WaitExecution call: how the operation fares from now on.

        Raises:
            RequestError: the call failed; NOT_FOUND when the server does not know it (any more).
        """
        request = reapi.WaitExecutionRequest(name=operation)
        yield from self._channel.call(EXECUTION, "WaitExecution", request, timeout=timeout)

    def cancel(self, operation: str) -> None:
        """Has an operation cancelled.

        Raises:
            RequestError: the call failed.
        """
        request = longrunning.CancelOperationRequest(name=operation)
        self._channel.call(OPERATIONS, "CancelOperation", request, timeout=self._timeout)

    def close(self) -> None:
        """Closes the connection; calls under way fail."""
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
    """One action's way through Execute and WaitExecution, over broken streams and lost blobs."""

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
        """The response, once there is one that asks for no blob."""
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
            f"{self._client.endpoint} still misses {missing[0]} after {_ATTEMPTS} uploads",
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
            f"{self._client.endpoint} ended the stream {_ATTEMPTS} times before the action was done",
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
                return _response_of(update)
        return None

    def _may_recover(self, error: RequestError, *, is_last: bool) -> bool:
        """Whether to try again."""
        if error.code is Code.NOT_FOUND and self.operation and not is_last:
            self.operation = ""  # forgotten, as after a restart: execute it anew
            return True
        if error.code is Code.DEADLINE_EXCEEDED and self.operation:
            self._client.cancel(self.operation)
        return not is_last and error.code in _BROKEN

    def _upload_again(self, missing: tuple[str, ...]) -> bool:
        """Uploads what the server misses of ours; False when it misses nothing."""
        if missing:
            self._client.upload(self._encoded.blobs)
        return bool(missing)


def _response_of(operation: longrunning.Operation) -> reapi.ExecuteResponse:
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
            raise ConfigError(f"digest function {wanted} can't be computed here")
        return FUNCTIONS[wanted]
    known = [each for each in FUNCTIONS.values() if each.number in numbers or not numbers]
    if not known:
        names = ", ".join(reapi.DigestFunction.Value.Name(each) for each in numbers)
        raise EnvironmentLacksError(f"none of the server's digest functions is known here: {names}")
    return known[0]
