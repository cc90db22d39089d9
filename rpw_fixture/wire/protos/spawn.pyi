# Types of one namespace of rpw_fixture.wire.protos, written by .ci/regenerate_protos.py.
# ruff: noqa: A002, N802, RUF100 - names are the protocols' and protobuf's own

from collections.abc import Iterable, Mapping
from typing import Literal

from google.protobuf.internal.containers import (
    RepeatedCompositeFieldContainer,
    RepeatedScalarFieldContainer,
    ScalarMap,
)
from google.protobuf.message import Message

class Digest(Message):
    def __init__(
        self,
        *,
        hash: str = ...,
        size_bytes: int = ...,
        hash_function_name: str = ...,
    ) -> None: ...
    hash: str
    size_bytes: int
    hash_function_name: str

class File(Message):
    def __init__(
        self,
        *,
        path: str = ...,
        digest: Digest | None = ...,
        is_tool: bool = ...,
        symlink_target_path: str = ...,
    ) -> None: ...
    path: str
    @property
    def digest(self) -> Digest: ...
    is_tool: bool
    symlink_target_path: str
    def HasField(self, field_name: Literal["digest"]) -> bool: ...

class EnvironmentVariable(Message):
    def __init__(self, *, name: str = ..., value: str = ...) -> None: ...
    name: str
    value: str

class Platform(Message):
    class Property(Message):
        def __init__(self, *, name: str = ..., value: str = ...) -> None: ...
        name: str
        value: str

    def __init__(self, *, properties: Iterable[Platform.Property] | None = ...) -> None: ...
    @property
    def properties(self) -> RepeatedCompositeFieldContainer[Platform.Property]: ...

class SpawnExec(Message):
    def __init__(
        self,
        *,
        command_args: Iterable[str] | None = ...,
        environment_variables: Iterable[EnvironmentVariable] | None = ...,
        platform: Platform | None = ...,
        inputs: Iterable[File] | None = ...,
        listed_outputs: Iterable[str] | None = ...,
        remotable: bool = ...,
        cacheable: bool = ...,
        timeout_millis: int = ...,
        mnemonic: str = ...,
        actual_outputs: Iterable[File] | None = ...,
        runner: str = ...,
        cache_hit: bool = ...,
        status: str = ...,
        exit_code: int = ...,
        remote_cacheable: bool = ...,
        target_label: str = ...,
    ) -> None: ...
    @property
    def command_args(self) -> RepeatedScalarFieldContainer[str]: ...
    @property
    def environment_variables(
        self,
    ) -> RepeatedCompositeFieldContainer[EnvironmentVariable]: ...
    @property
    def platform(self) -> Platform: ...
    @property
    def inputs(self) -> RepeatedCompositeFieldContainer[File]: ...
    @property
    def listed_outputs(self) -> RepeatedScalarFieldContainer[str]: ...
    remotable: bool
    cacheable: bool
    timeout_millis: int
    mnemonic: str
    @property
    def actual_outputs(self) -> RepeatedCompositeFieldContainer[File]: ...
    runner: str
    cache_hit: bool
    status: str
    exit_code: int
    remote_cacheable: bool
    target_label: str
    def HasField(self, field_name: Literal["platform"]) -> bool: ...

class ExecLogEntry(Message):
    class Invocation(Message):
        def __init__(
            self,
            *,
            hash_function_name: str = ...,
            workspace_runfiles_directory: str = ...,
            sibling_repository_layout: bool = ...,
        ) -> None: ...
        hash_function_name: str
        workspace_runfiles_directory: str
        sibling_repository_layout: bool

    class File(Message):
        def __init__(self, *, path: str = ..., digest: Digest | None = ...) -> None: ...
        path: str
        @property
        def digest(self) -> Digest: ...
        def HasField(self, field_name: Literal["digest"]) -> bool: ...

    class Directory(Message):
        def __init__(
            self,
            *,
            path: str = ...,
            files: Iterable[ExecLogEntry.File] | None = ...,
        ) -> None: ...
        path: str
        @property
        def files(self) -> RepeatedCompositeFieldContainer[ExecLogEntry.File]: ...

    class UnresolvedSymlink(Message):
        def __init__(self, *, path: str = ..., target_path: str = ...) -> None: ...
        path: str
        target_path: str

    class InputSet(Message):
        def __init__(
            self,
            *,
            transitive_set_ids: Iterable[int] | None = ...,
            input_ids: Iterable[int] | None = ...,
        ) -> None: ...
        @property
        def transitive_set_ids(self) -> RepeatedScalarFieldContainer[int]: ...
        @property
        def input_ids(self) -> RepeatedScalarFieldContainer[int]: ...

    class SymlinkEntrySet(Message):
        def __init__(
            self,
            *,
            direct_entries: Mapping[str, int] | None = ...,
            transitive_set_ids: Iterable[int] | None = ...,
        ) -> None: ...
        @property
        def direct_entries(self) -> ScalarMap[str, int]: ...
        @property
        def transitive_set_ids(self) -> RepeatedScalarFieldContainer[int]: ...

    class RunfilesTree(Message):
        def __init__(
            self,
            *,
            path: str = ...,
            input_set_id: int = ...,
            symlinks_id: int = ...,
            root_symlinks_id: int = ...,
            empty_files: Iterable[str] | None = ...,
            repo_mapping_manifest: ExecLogEntry.File | None = ...,
            legacy_external_runfiles: bool = ...,
        ) -> None: ...
        path: str
        input_set_id: int
        symlinks_id: int
        root_symlinks_id: int
        @property
        def empty_files(self) -> RepeatedScalarFieldContainer[str]: ...
        @property
        def repo_mapping_manifest(self) -> ExecLogEntry.File: ...
        legacy_external_runfiles: bool
        def HasField(self, field_name: Literal["repo_mapping_manifest"]) -> bool: ...

    class Output(Message):
        def __init__(
            self,
            *,
            invalid_output_path: str | None = ...,
            output_id: int | None = ...,
        ) -> None: ...
        invalid_output_path: str
        output_id: int
        def HasField(
            self,
            field_name: Literal["invalid_output_path", "output_id", "type"],
        ) -> bool: ...
        def WhichOneof(
            self,
            oneof_group: Literal["type"],
        ) -> Literal["invalid_output_path", "output_id"] | None: ...

    class Spawn(Message):
        def __init__(
            self,
            *,
            args: Iterable[str] | None = ...,
            env_vars: Iterable[EnvironmentVariable] | None = ...,
            platform: Platform | None = ...,
            input_set_id: int = ...,
            tool_set_id: int = ...,
            outputs: Iterable[ExecLogEntry.Output] | None = ...,
            target_label: str = ...,
            mnemonic: str = ...,
            exit_code: int = ...,
            status: str = ...,
            runner: str = ...,
            cache_hit: bool = ...,
            remotable: bool = ...,
            cacheable: bool = ...,
            remote_cacheable: bool = ...,
            timeout_millis: int = ...,
        ) -> None: ...
        @property
        def args(self) -> RepeatedScalarFieldContainer[str]: ...
        @property
        def env_vars(self) -> RepeatedCompositeFieldContainer[EnvironmentVariable]: ...
        @property
        def platform(self) -> Platform: ...
        input_set_id: int
        tool_set_id: int
        @property
        def outputs(self) -> RepeatedCompositeFieldContainer[ExecLogEntry.Output]: ...
        target_label: str
        mnemonic: str
        exit_code: int
        status: str
        runner: str
        cache_hit: bool
        remotable: bool
        cacheable: bool
        remote_cacheable: bool
        timeout_millis: int
        def HasField(self, field_name: Literal["platform"]) -> bool: ...

    class SymlinkAction(Message):
        def __init__(self, *, input_path: str = ..., output_path: str = ...) -> None: ...
        input_path: str
        output_path: str

    def __init__(
        self,
        *,
        id: int = ...,
        invocation: ExecLogEntry.Invocation | None = ...,
        file: ExecLogEntry.File | None = ...,
        directory: ExecLogEntry.Directory | None = ...,
        unresolved_symlink: ExecLogEntry.UnresolvedSymlink | None = ...,
        input_set: ExecLogEntry.InputSet | None = ...,
        spawn: ExecLogEntry.Spawn | None = ...,
        symlink_action: ExecLogEntry.SymlinkAction | None = ...,
        symlink_entry_set: ExecLogEntry.SymlinkEntrySet | None = ...,
        runfiles_tree: ExecLogEntry.RunfilesTree | None = ...,
    ) -> None: ...
    id: int
    @property
    def invocation(self) -> ExecLogEntry.Invocation: ...
    @property
    def file(self) -> ExecLogEntry.File: ...
    @property
    def directory(self) -> ExecLogEntry.Directory: ...
    @property
    def unresolved_symlink(self) -> ExecLogEntry.UnresolvedSymlink: ...
    @property
    def input_set(self) -> ExecLogEntry.InputSet: ...
    @property
    def spawn(self) -> ExecLogEntry.Spawn: ...
    @property
    def symlink_action(self) -> ExecLogEntry.SymlinkAction: ...
    @property
    def symlink_entry_set(self) -> ExecLogEntry.SymlinkEntrySet: ...
    @property
    def runfiles_tree(self) -> ExecLogEntry.RunfilesTree: ...
    def HasField(
        self,
        field_name: Literal[
            "invocation",
            "file",
            "directory",
            "unresolved_symlink",
            "input_set",
            "spawn",
            "symlink_action",
            "symlink_entry_set",
            "runfiles_tree",
            "type",
        ],
    ) -> bool: ...
    def WhichOneof(
        self,
        oneof_group: Literal["type"],
    ) -> (
        Literal[
            "invocation",
            "file",
            "directory",
            "unresolved_symlink",
            "input_set",
            "spawn",
            "symlink_action",
            "symlink_entry_set",
            "runfiles_tree",
        ]
        | None
    ): ...
