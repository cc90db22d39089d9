# Types of one namespace of rpw_fixture.wire.protos, written by .ci/regenerate_protos.py.
# ruff: noqa: A002, N802, RUF100 - names are the protocols' and protobuf's own

from collections.abc import Iterable, Mapping
from typing import Final, Literal, type_check_only

from google.protobuf.internal.containers import (
    MessageMap,
    RepeatedCompositeFieldContainer,
    RepeatedScalarFieldContainer,
)
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message

from rpw_fixture.wire.protos import rpc, semver, wkt

class Action(Message):
    def __init__(
        self,
        *,
        command_digest: Digest | None = ...,
        input_root_digest: Digest | None = ...,
        timeout: wkt.Duration | None = ...,
        do_not_cache: bool = ...,
        salt: bytes = ...,
        platform: Platform | None = ...,
    ) -> None: ...
    @property
    def command_digest(self) -> Digest: ...
    @property
    def input_root_digest(self) -> Digest: ...
    @property
    def timeout(self) -> wkt.Duration: ...
    do_not_cache: bool
    salt: bytes
    @property
    def platform(self) -> Platform: ...
    def HasField(
        self,
        field_name: Literal["command_digest", "input_root_digest", "timeout", "platform"],
    ) -> bool: ...

class Command(Message):
    class EnvironmentVariable(Message):
        def __init__(self, *, name: str = ..., value: str = ...) -> None: ...
        name: str
        value: str

    @type_check_only
    class _OutputDirectoryFormat(EnumTypeWrapper):
        TREE_ONLY: Final = 0
        DIRECTORY_ONLY: Final = 1
        TREE_AND_DIRECTORY: Final = 2

    OutputDirectoryFormat: Final[_OutputDirectoryFormat]
    TREE_ONLY: Final = 0
    DIRECTORY_ONLY: Final = 1
    TREE_AND_DIRECTORY: Final = 2
    def __init__(
        self,
        *,
        arguments: Iterable[str] | None = ...,
        environment_variables: Iterable[Command.EnvironmentVariable] | None = ...,
        output_files: Iterable[str] | None = ...,
        output_directories: Iterable[str] | None = ...,
        output_paths: Iterable[str] | None = ...,
        platform: Platform | None = ...,
        working_directory: str = ...,
        output_node_properties: Iterable[str] | None = ...,
        output_directory_format: int = ...,
    ) -> None: ...
    @property
    def arguments(self) -> RepeatedScalarFieldContainer[str]: ...
    @property
    def environment_variables(
        self,
    ) -> RepeatedCompositeFieldContainer[Command.EnvironmentVariable]: ...
    @property
    def output_files(self) -> RepeatedScalarFieldContainer[str]: ...
    @property
    def output_directories(self) -> RepeatedScalarFieldContainer[str]: ...
    @property
    def output_paths(self) -> RepeatedScalarFieldContainer[str]: ...
    @property
    def platform(self) -> Platform: ...
    working_directory: str
    @property
    def output_node_properties(self) -> RepeatedScalarFieldContainer[str]: ...
    output_directory_format: int
    def HasField(self, field_name: Literal["platform"]) -> bool: ...

class Platform(Message):
    class Property(Message):
        def __init__(self, *, name: str = ..., value: str = ...) -> None: ...
        name: str
        value: str

    def __init__(self, *, properties: Iterable[Platform.Property] | None = ...) -> None: ...
    @property
    def properties(self) -> RepeatedCompositeFieldContainer[Platform.Property]: ...

class Directory(Message):
    def __init__(
        self,
        *,
        files: Iterable[FileNode] | None = ...,
        directories: Iterable[DirectoryNode] | None = ...,
        symlinks: Iterable[SymlinkNode] | None = ...,
        node_properties: NodeProperties | None = ...,
    ) -> None: ...
    @property
    def files(self) -> RepeatedCompositeFieldContainer[FileNode]: ...
    @property
    def directories(self) -> RepeatedCompositeFieldContainer[DirectoryNode]: ...
    @property
    def symlinks(self) -> RepeatedCompositeFieldContainer[SymlinkNode]: ...
    @property
    def node_properties(self) -> NodeProperties: ...
    def HasField(self, field_name: Literal["node_properties"]) -> bool: ...

class NodeProperty(Message):
    def __init__(self, *, name: str = ..., value: str = ...) -> None: ...
    name: str
    value: str

class NodeProperties(Message):
    def __init__(
        self,
        *,
        properties: Iterable[NodeProperty] | None = ...,
        mtime: wkt.Timestamp | None = ...,
        unix_mode: wkt.UInt32Value | None = ...,
    ) -> None: ...
    @property
    def properties(self) -> RepeatedCompositeFieldContainer[NodeProperty]: ...
    @property
    def mtime(self) -> wkt.Timestamp: ...
    @property
    def unix_mode(self) -> wkt.UInt32Value: ...
    def HasField(self, field_name: Literal["mtime", "unix_mode"]) -> bool: ...

class FileNode(Message):
    def __init__(
        self,
        *,
        name: str = ...,
        digest: Digest | None = ...,
        is_executable: bool = ...,
        node_properties: NodeProperties | None = ...,
    ) -> None: ...
    name: str
    @property
    def digest(self) -> Digest: ...
    is_executable: bool
    @property
    def node_properties(self) -> NodeProperties: ...
    def HasField(self, field_name: Literal["digest", "node_properties"]) -> bool: ...

class DirectoryNode(Message):
    def __init__(self, *, name: str = ..., digest: Digest | None = ...) -> None: ...
    name: str
    @property
    def digest(self) -> Digest: ...
    def HasField(self, field_name: Literal["digest"]) -> bool: ...

class SymlinkNode(Message):
    def __init__(
        self,
        *,
        name: str = ...,
        target: str = ...,
        node_properties: NodeProperties | None = ...,
    ) -> None: ...
    name: str
    target: str
    @property
    def node_properties(self) -> NodeProperties: ...
    def HasField(self, field_name: Literal["node_properties"]) -> bool: ...

class Digest(Message):
    def __init__(self, *, hash: str = ..., size_bytes: int = ...) -> None: ...
    hash: str
    size_bytes: int

class Tree(Message):
    def __init__(
        self,
        *,
        root: Directory | None = ...,
        children: Iterable[Directory] | None = ...,
    ) -> None: ...
    @property
    def root(self) -> Directory: ...
    @property
    def children(self) -> RepeatedCompositeFieldContainer[Directory]: ...
    def HasField(self, field_name: Literal["root"]) -> bool: ...

class ExecutedActionMetadata(Message):
    def __init__(
        self,
        *,
        worker: str = ...,
        queued_timestamp: wkt.Timestamp | None = ...,
        worker_start_timestamp: wkt.Timestamp | None = ...,
        worker_completed_timestamp: wkt.Timestamp | None = ...,
        input_fetch_start_timestamp: wkt.Timestamp | None = ...,
        input_fetch_completed_timestamp: wkt.Timestamp | None = ...,
        execution_start_timestamp: wkt.Timestamp | None = ...,
        execution_completed_timestamp: wkt.Timestamp | None = ...,
        virtual_execution_duration: wkt.Duration | None = ...,
        output_upload_start_timestamp: wkt.Timestamp | None = ...,
        output_upload_completed_timestamp: wkt.Timestamp | None = ...,
        auxiliary_metadata: Iterable[wkt.Any] | None = ...,
    ) -> None: ...
    worker: str
    @property
    def queued_timestamp(self) -> wkt.Timestamp: ...
    @property
    def worker_start_timestamp(self) -> wkt.Timestamp: ...
    @property
    def worker_completed_timestamp(self) -> wkt.Timestamp: ...
    @property
    def input_fetch_start_timestamp(self) -> wkt.Timestamp: ...
    @property
    def input_fetch_completed_timestamp(self) -> wkt.Timestamp: ...
    @property
    def execution_start_timestamp(self) -> wkt.Timestamp: ...
    @property
    def execution_completed_timestamp(self) -> wkt.Timestamp: ...
    @property
    def virtual_execution_duration(self) -> wkt.Duration: ...
    @property
    def output_upload_start_timestamp(self) -> wkt.Timestamp: ...
    @property
    def output_upload_completed_timestamp(self) -> wkt.Timestamp: ...
    @property
    def auxiliary_metadata(self) -> RepeatedCompositeFieldContainer[wkt.Any]: ...
    def HasField(
        self,
        field_name: Literal[
            "queued_timestamp",
            "worker_start_timestamp",
            "worker_completed_timestamp",
            "input_fetch_start_timestamp",
            "input_fetch_completed_timestamp",
            "execution_start_timestamp",
            "execution_completed_timestamp",
            "virtual_execution_duration",
            "output_upload_start_timestamp",
            "output_upload_completed_timestamp",
        ],
    ) -> bool: ...

class ActionResult(Message):
    def __init__(
        self,
        *,
        output_files: Iterable[OutputFile] | None = ...,
        output_file_symlinks: Iterable[OutputSymlink] | None = ...,
        output_symlinks: Iterable[OutputSymlink] | None = ...,
        output_directories: Iterable[OutputDirectory] | None = ...,
        output_directory_symlinks: Iterable[OutputSymlink] | None = ...,
        exit_code: int = ...,
        stdout_raw: bytes = ...,
        stdout_digest: Digest | None = ...,
        stderr_raw: bytes = ...,
        stderr_digest: Digest | None = ...,
        execution_metadata: ExecutedActionMetadata | None = ...,
    ) -> None: ...
    @property
    def output_files(self) -> RepeatedCompositeFieldContainer[OutputFile]: ...
    @property
    def output_file_symlinks(self) -> RepeatedCompositeFieldContainer[OutputSymlink]: ...
    @property
    def output_symlinks(self) -> RepeatedCompositeFieldContainer[OutputSymlink]: ...
    @property
    def output_directories(self) -> RepeatedCompositeFieldContainer[OutputDirectory]: ...
    @property
    def output_directory_symlinks(
        self,
    ) -> RepeatedCompositeFieldContainer[OutputSymlink]: ...
    exit_code: int
    stdout_raw: bytes
    @property
    def stdout_digest(self) -> Digest: ...
    stderr_raw: bytes
    @property
    def stderr_digest(self) -> Digest: ...
    @property
    def execution_metadata(self) -> ExecutedActionMetadata: ...
    def HasField(
        self,
        field_name: Literal["stdout_digest", "stderr_digest", "execution_metadata"],
    ) -> bool: ...

class OutputFile(Message):
    def __init__(
        self,
        *,
        path: str = ...,
        digest: Digest | None = ...,
        is_executable: bool = ...,
        contents: bytes = ...,
        node_properties: NodeProperties | None = ...,
    ) -> None: ...
    path: str
    @property
    def digest(self) -> Digest: ...
    is_executable: bool
    contents: bytes
    @property
    def node_properties(self) -> NodeProperties: ...
    def HasField(self, field_name: Literal["digest", "node_properties"]) -> bool: ...

class OutputDirectory(Message):
    def __init__(
        self,
        *,
        path: str = ...,
        tree_digest: Digest | None = ...,
        is_topologically_sorted: bool = ...,
        root_directory_digest: Digest | None = ...,
    ) -> None: ...
    path: str
    @property
    def tree_digest(self) -> Digest: ...
    is_topologically_sorted: bool
    @property
    def root_directory_digest(self) -> Digest: ...
    def HasField(
        self,
        field_name: Literal["tree_digest", "root_directory_digest"],
    ) -> bool: ...

class OutputSymlink(Message):
    def __init__(
        self,
        *,
        path: str = ...,
        target: str = ...,
        node_properties: NodeProperties | None = ...,
    ) -> None: ...
    path: str
    target: str
    @property
    def node_properties(self) -> NodeProperties: ...
    def HasField(self, field_name: Literal["node_properties"]) -> bool: ...

class ExecutionPolicy(Message):
    def __init__(self, *, priority: int = ...) -> None: ...
    priority: int

class ResultsCachePolicy(Message):
    def __init__(self, *, priority: int = ...) -> None: ...
    priority: int

class ExecuteRequest(Message):
    def __init__(
        self,
        *,
        instance_name: str = ...,
        skip_cache_lookup: bool = ...,
        action_digest: Digest | None = ...,
        execution_policy: ExecutionPolicy | None = ...,
        results_cache_policy: ResultsCachePolicy | None = ...,
        digest_function: int = ...,
        inline_stdout: bool = ...,
        inline_stderr: bool = ...,
        inline_output_files: Iterable[str] | None = ...,
    ) -> None: ...
    instance_name: str
    skip_cache_lookup: bool
    @property
    def action_digest(self) -> Digest: ...
    @property
    def execution_policy(self) -> ExecutionPolicy: ...
    @property
    def results_cache_policy(self) -> ResultsCachePolicy: ...
    digest_function: int
    inline_stdout: bool
    inline_stderr: bool
    @property
    def inline_output_files(self) -> RepeatedScalarFieldContainer[str]: ...
    def HasField(
        self,
        field_name: Literal["action_digest", "execution_policy", "results_cache_policy"],
    ) -> bool: ...

class LogFile(Message):
    def __init__(
        self,
        *,
        digest: Digest | None = ...,
        human_readable: bool = ...,
    ) -> None: ...
    @property
    def digest(self) -> Digest: ...
    human_readable: bool
    def HasField(self, field_name: Literal["digest"]) -> bool: ...

class ExecuteResponse(Message):
    def __init__(
        self,
        *,
        result: ActionResult | None = ...,
        cached_result: bool = ...,
        status: rpc.Status | None = ...,
        server_logs: Mapping[str, LogFile] | None = ...,
        message: str = ...,
    ) -> None: ...
    @property
    def result(self) -> ActionResult: ...
    cached_result: bool
    @property
    def status(self) -> rpc.Status: ...
    @property
    def server_logs(self) -> MessageMap[str, LogFile]: ...
    message: str
    def HasField(self, field_name: Literal["result", "status"]) -> bool: ...

class ExecutionStage(Message):
    @type_check_only
    class _Value(EnumTypeWrapper):
        UNKNOWN: Final = 0
        CACHE_CHECK: Final = 1
        QUEUED: Final = 2
        EXECUTING: Final = 3
        COMPLETED: Final = 4

    Value: Final[_Value]
    UNKNOWN: Final = 0
    CACHE_CHECK: Final = 1
    QUEUED: Final = 2
    EXECUTING: Final = 3
    COMPLETED: Final = 4
    def __init__(self) -> None: ...

class ExecuteOperationMetadata(Message):
    def __init__(
        self,
        *,
        stage: int = ...,
        action_digest: Digest | None = ...,
        stdout_stream_name: str = ...,
        stderr_stream_name: str = ...,
        partial_execution_metadata: ExecutedActionMetadata | None = ...,
        digest_function: int = ...,
    ) -> None: ...
    stage: int
    @property
    def action_digest(self) -> Digest: ...
    stdout_stream_name: str
    stderr_stream_name: str
    @property
    def partial_execution_metadata(self) -> ExecutedActionMetadata: ...
    digest_function: int
    def HasField(
        self,
        field_name: Literal["action_digest", "partial_execution_metadata"],
    ) -> bool: ...

class WaitExecutionRequest(Message):
    def __init__(self, *, name: str = ...) -> None: ...
    name: str

class GetActionResultRequest(Message):
    def __init__(
        self,
        *,
        instance_name: str = ...,
        action_digest: Digest | None = ...,
        inline_stdout: bool = ...,
        inline_stderr: bool = ...,
        inline_output_files: Iterable[str] | None = ...,
        digest_function: int = ...,
    ) -> None: ...
    instance_name: str
    @property
    def action_digest(self) -> Digest: ...
    inline_stdout: bool
    inline_stderr: bool
    @property
    def inline_output_files(self) -> RepeatedScalarFieldContainer[str]: ...
    digest_function: int
    def HasField(self, field_name: Literal["action_digest"]) -> bool: ...

class UpdateActionResultRequest(Message):
    def __init__(
        self,
        *,
        instance_name: str = ...,
        action_digest: Digest | None = ...,
        action_result: ActionResult | None = ...,
        results_cache_policy: ResultsCachePolicy | None = ...,
        digest_function: int = ...,
    ) -> None: ...
    instance_name: str
    @property
    def action_digest(self) -> Digest: ...
    @property
    def action_result(self) -> ActionResult: ...
    @property
    def results_cache_policy(self) -> ResultsCachePolicy: ...
    digest_function: int
    def HasField(
        self,
        field_name: Literal["action_digest", "action_result", "results_cache_policy"],
    ) -> bool: ...

class FindMissingBlobsRequest(Message):
    def __init__(
        self,
        *,
        instance_name: str = ...,
        blob_digests: Iterable[Digest] | None = ...,
        digest_function: int = ...,
    ) -> None: ...
    instance_name: str
    @property
    def blob_digests(self) -> RepeatedCompositeFieldContainer[Digest]: ...
    digest_function: int

class FindMissingBlobsResponse(Message):
    def __init__(self, *, missing_blob_digests: Iterable[Digest] | None = ...) -> None: ...
    @property
    def missing_blob_digests(self) -> RepeatedCompositeFieldContainer[Digest]: ...

class BatchUpdateBlobsRequest(Message):
    class Request(Message):
        def __init__(
            self,
            *,
            digest: Digest | None = ...,
            data: bytes = ...,
            compressor: int = ...,
        ) -> None: ...
        @property
        def digest(self) -> Digest: ...
        data: bytes
        compressor: int
        def HasField(self, field_name: Literal["digest"]) -> bool: ...

    def __init__(
        self,
        *,
        instance_name: str = ...,
        requests: Iterable[BatchUpdateBlobsRequest.Request] | None = ...,
        digest_function: int = ...,
    ) -> None: ...
    instance_name: str
    @property
    def requests(
        self,
    ) -> RepeatedCompositeFieldContainer[BatchUpdateBlobsRequest.Request]: ...
    digest_function: int

class BatchUpdateBlobsResponse(Message):
    class Response(Message):
        def __init__(
            self,
            *,
            digest: Digest | None = ...,
            status: rpc.Status | None = ...,
        ) -> None: ...
        @property
        def digest(self) -> Digest: ...
        @property
        def status(self) -> rpc.Status: ...
        def HasField(self, field_name: Literal["digest", "status"]) -> bool: ...

    def __init__(
        self,
        *,
        responses: Iterable[BatchUpdateBlobsResponse.Response] | None = ...,
    ) -> None: ...
    @property
    def responses(
        self,
    ) -> RepeatedCompositeFieldContainer[BatchUpdateBlobsResponse.Response]: ...

class BatchReadBlobsRequest(Message):
    def __init__(
        self,
        *,
        instance_name: str = ...,
        digests: Iterable[Digest] | None = ...,
        acceptable_compressors: Iterable[int] | None = ...,
        digest_function: int = ...,
    ) -> None: ...
    instance_name: str
    @property
    def digests(self) -> RepeatedCompositeFieldContainer[Digest]: ...
    @property
    def acceptable_compressors(self) -> RepeatedScalarFieldContainer[int]: ...
    digest_function: int

class BatchReadBlobsResponse(Message):
    class Response(Message):
        def __init__(
            self,
            *,
            digest: Digest | None = ...,
            data: bytes = ...,
            compressor: int = ...,
            status: rpc.Status | None = ...,
        ) -> None: ...
        @property
        def digest(self) -> Digest: ...
        data: bytes
        compressor: int
        @property
        def status(self) -> rpc.Status: ...
        def HasField(self, field_name: Literal["digest", "status"]) -> bool: ...

    def __init__(
        self,
        *,
        responses: Iterable[BatchReadBlobsResponse.Response] | None = ...,
    ) -> None: ...
    @property
    def responses(
        self,
    ) -> RepeatedCompositeFieldContainer[BatchReadBlobsResponse.Response]: ...

class GetTreeRequest(Message):
    def __init__(
        self,
        *,
        instance_name: str = ...,
        root_digest: Digest | None = ...,
        page_size: int = ...,
        page_token: str = ...,
        digest_function: int = ...,
    ) -> None: ...
    instance_name: str
    @property
    def root_digest(self) -> Digest: ...
    page_size: int
    page_token: str
    digest_function: int
    def HasField(self, field_name: Literal["root_digest"]) -> bool: ...

class GetTreeResponse(Message):
    def __init__(
        self,
        *,
        directories: Iterable[Directory] | None = ...,
        next_page_token: str = ...,
    ) -> None: ...
    @property
    def directories(self) -> RepeatedCompositeFieldContainer[Directory]: ...
    next_page_token: str

class SplitBlobRequest(Message):
    def __init__(
        self,
        *,
        instance_name: str = ...,
        blob_digest: Digest | None = ...,
        digest_function: int = ...,
        chunking_function: int = ...,
    ) -> None: ...
    instance_name: str
    @property
    def blob_digest(self) -> Digest: ...
    digest_function: int
    chunking_function: int
    def HasField(self, field_name: Literal["blob_digest"]) -> bool: ...

class SplitBlobResponse(Message):
    def __init__(
        self,
        *,
        chunk_digests: Iterable[Digest] | None = ...,
        chunking_function: int = ...,
    ) -> None: ...
    @property
    def chunk_digests(self) -> RepeatedCompositeFieldContainer[Digest]: ...
    chunking_function: int

class SpliceBlobRequest(Message):
    def __init__(
        self,
        *,
        instance_name: str = ...,
        blob_digest: Digest | None = ...,
        chunk_digests: Iterable[Digest] | None = ...,
        digest_function: int = ...,
        chunking_function: int = ...,
    ) -> None: ...
    instance_name: str
    @property
    def blob_digest(self) -> Digest: ...
    @property
    def chunk_digests(self) -> RepeatedCompositeFieldContainer[Digest]: ...
    digest_function: int
    chunking_function: int
    def HasField(self, field_name: Literal["blob_digest"]) -> bool: ...

class SpliceBlobResponse(Message):
    def __init__(self, *, blob_digest: Digest | None = ...) -> None: ...
    @property
    def blob_digest(self) -> Digest: ...
    def HasField(self, field_name: Literal["blob_digest"]) -> bool: ...

class GetCapabilitiesRequest(Message):
    def __init__(self, *, instance_name: str = ...) -> None: ...
    instance_name: str

class ServerCapabilities(Message):
    def __init__(
        self,
        *,
        cache_capabilities: CacheCapabilities | None = ...,
        execution_capabilities: ExecutionCapabilities | None = ...,
        deprecated_api_version: semver.SemVer | None = ...,
        low_api_version: semver.SemVer | None = ...,
        high_api_version: semver.SemVer | None = ...,
    ) -> None: ...
    @property
    def cache_capabilities(self) -> CacheCapabilities: ...
    @property
    def execution_capabilities(self) -> ExecutionCapabilities: ...
    @property
    def deprecated_api_version(self) -> semver.SemVer: ...
    @property
    def low_api_version(self) -> semver.SemVer: ...
    @property
    def high_api_version(self) -> semver.SemVer: ...
    def HasField(
        self,
        field_name: Literal[
            "cache_capabilities",
            "execution_capabilities",
            "deprecated_api_version",
            "low_api_version",
            "high_api_version",
        ],
    ) -> bool: ...

class DigestFunction(Message):
    @type_check_only
    class _Value(EnumTypeWrapper):
        UNKNOWN: Final = 0
        SHA256: Final = 1
        SHA1: Final = 2
        MD5: Final = 3
        VSO: Final = 4
        SHA384: Final = 5
        SHA512: Final = 6
        MURMUR3: Final = 7
        SHA256TREE: Final = 8
        BLAKE3: Final = 9
        GITSHA1: Final = 10

    Value: Final[_Value]
    UNKNOWN: Final = 0
    SHA256: Final = 1
    SHA1: Final = 2
    MD5: Final = 3
    VSO: Final = 4
    SHA384: Final = 5
    SHA512: Final = 6
    MURMUR3: Final = 7
    SHA256TREE: Final = 8
    BLAKE3: Final = 9
    GITSHA1: Final = 10
    def __init__(self) -> None: ...

class ChunkingFunction(Message):
    @type_check_only
    class _Value(EnumTypeWrapper):
        UNKNOWN: Final = 0
        FAST_CDC_2020: Final = 1
        REP_MAX_CDC: Final = 2

    Value: Final[_Value]
    UNKNOWN: Final = 0
    FAST_CDC_2020: Final = 1
    REP_MAX_CDC: Final = 2
    def __init__(self) -> None: ...

class ActionCacheUpdateCapabilities(Message):
    def __init__(self, *, update_enabled: bool = ...) -> None: ...
    update_enabled: bool

class PriorityCapabilities(Message):
    class PriorityRange(Message):
        def __init__(self, *, min_priority: int = ..., max_priority: int = ...) -> None: ...
        min_priority: int
        max_priority: int

    def __init__(
        self,
        *,
        priorities: Iterable[PriorityCapabilities.PriorityRange] | None = ...,
    ) -> None: ...
    @property
    def priorities(
        self,
    ) -> RepeatedCompositeFieldContainer[PriorityCapabilities.PriorityRange]: ...

class SymlinkAbsolutePathStrategy(Message):
    @type_check_only
    class _Value(EnumTypeWrapper):
        UNKNOWN: Final = 0
        DISALLOWED: Final = 1
        ALLOWED: Final = 2

    Value: Final[_Value]
    UNKNOWN: Final = 0
    DISALLOWED: Final = 1
    ALLOWED: Final = 2
    def __init__(self) -> None: ...

class Compressor(Message):
    @type_check_only
    class _Value(EnumTypeWrapper):
        IDENTITY: Final = 0
        ZSTD: Final = 1
        DEFLATE: Final = 2
        BROTLI: Final = 3

    Value: Final[_Value]
    IDENTITY: Final = 0
    ZSTD: Final = 1
    DEFLATE: Final = 2
    BROTLI: Final = 3
    def __init__(self) -> None: ...

class CacheCapabilities(Message):
    def __init__(
        self,
        *,
        digest_functions: Iterable[int] | None = ...,
        action_cache_update_capabilities: ActionCacheUpdateCapabilities | None = ...,
        cache_priority_capabilities: PriorityCapabilities | None = ...,
        max_batch_total_size_bytes: int = ...,
        symlink_absolute_path_strategy: int = ...,
        supported_compressors: Iterable[int] | None = ...,
        supported_batch_update_compressors: Iterable[int] | None = ...,
        max_cas_blob_size_bytes: int = ...,
        split_blob_support: bool = ...,
        splice_blob_support: bool = ...,
        fast_cdc_2020_params: FastCdc2020Params | None = ...,
        rep_max_cdc_params: RepMaxCdcParams | None = ...,
    ) -> None: ...
    @property
    def digest_functions(self) -> RepeatedScalarFieldContainer[int]: ...
    @property
    def action_cache_update_capabilities(self) -> ActionCacheUpdateCapabilities: ...
    @property
    def cache_priority_capabilities(self) -> PriorityCapabilities: ...
    max_batch_total_size_bytes: int
    symlink_absolute_path_strategy: int
    @property
    def supported_compressors(self) -> RepeatedScalarFieldContainer[int]: ...
    @property
    def supported_batch_update_compressors(self) -> RepeatedScalarFieldContainer[int]: ...
    max_cas_blob_size_bytes: int
    split_blob_support: bool
    splice_blob_support: bool
    @property
    def fast_cdc_2020_params(self) -> FastCdc2020Params: ...
    @property
    def rep_max_cdc_params(self) -> RepMaxCdcParams: ...
    def HasField(
        self,
        field_name: Literal[
            "action_cache_update_capabilities",
            "cache_priority_capabilities",
            "fast_cdc_2020_params",
            "rep_max_cdc_params",
        ],
    ) -> bool: ...

class FastCdc2020Params(Message):
    def __init__(self, *, avg_chunk_size_bytes: int = ..., seed: int = ...) -> None: ...
    avg_chunk_size_bytes: int
    seed: int

class RepMaxCdcParams(Message):
    def __init__(
        self,
        *,
        min_chunk_size_bytes: int = ...,
        horizon_size_bytes: int = ...,
    ) -> None: ...
    min_chunk_size_bytes: int
    horizon_size_bytes: int

class ExecutionCapabilities(Message):
    def __init__(
        self,
        *,
        digest_function: int = ...,
        exec_enabled: bool = ...,
        execution_priority_capabilities: PriorityCapabilities | None = ...,
        supported_node_properties: Iterable[str] | None = ...,
        digest_functions: Iterable[int] | None = ...,
    ) -> None: ...
    digest_function: int
    exec_enabled: bool
    @property
    def execution_priority_capabilities(self) -> PriorityCapabilities: ...
    @property
    def supported_node_properties(self) -> RepeatedScalarFieldContainer[str]: ...
    @property
    def digest_functions(self) -> RepeatedScalarFieldContainer[int]: ...
    def HasField(self, field_name: Literal["execution_priority_capabilities"]) -> bool: ...

class ToolDetails(Message):
    def __init__(self, *, tool_name: str = ..., tool_version: str = ...) -> None: ...
    tool_name: str
    tool_version: str

class RequestMetadata(Message):
    def __init__(
        self,
        *,
        tool_details: ToolDetails | None = ...,
        action_id: str = ...,
        tool_invocation_id: str = ...,
        correlated_invocations_id: str = ...,
        action_mnemonic: str = ...,
        target_id: str = ...,
        configuration_id: str = ...,
    ) -> None: ...
    @property
    def tool_details(self) -> ToolDetails: ...
    action_id: str
    tool_invocation_id: str
    correlated_invocations_id: str
    action_mnemonic: str
    target_id: str
    configuration_id: str
    def HasField(self, field_name: Literal["tool_details"]) -> bool: ...
