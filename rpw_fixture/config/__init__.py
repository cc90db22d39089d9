"""Every setting of a server, in one frozen value.

Command-line flags, environment variables, ini options, markers and keyword arguments all come from
these fields, and their help texts too. flags.py has their syntax; nothing is read from outside here.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rpw_fixture.config.choices import CommittedSize, IsolationKind
from rpw_fixture.config.values import INT32, Values
from rpw_fixture.errors import ConfigError
from rpw_fixture.faults.fault import Fault
from rpw_fixture.support.cpu_count import usable_cpus
from rpw_fixture.support.suggestions import did_you_mean
from rpw_fixture.wire.default_protocols import AUTO, DefaultProtocols

MIB = 1 << 20
#: The largest number of threads or processes; a larger one is a mistake.
_MOST_THREADS = 10_000


def _setting(
    default: Any,
    help: str,  # noqa: A002 - argparse has this name
    *,
    kind: Callable[[str], Any] | None = None,
    flag: str | None = None,
    metavar: str | None = None,
    choices: tuple[str, ...] = (),
    least: float = 0,
    most: float | None = None,
) -> Any:
    """Return the field of a setting; it has no flag when ``kind`` is None."""
    values = Values(
        default=default,
        choices=choices,
        least=least,
        most=most,
        is_optional_bool=kind is bool and default is None,
    )
    metadata = {"help": help, "kind": kind, "flag": flag, "metavar": metavar, "values": values}
    return field(default=default, metadata=metadata)


def default_jobs() -> int:
    """Return the number of CPUs that this process may use, and at least 4."""
    return max(4, usable_cpus())


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings of one server.

    Raises:
        ConfigError: for a value out of range, named by its flag.
    """

    listen: str = _setting(
        "127.0.0.1:0",
        "address to listen on: HOST:PORT (port 0 picks one) or unix:PATH",
        kind=str,
        metavar="ADDRESS",
    )
    port_file: str | None = _setting(
        None, "write the port number to FILE atomically", kind=str, metavar="FILE"
    )
    jobs: int = _setting(
        0,
        "how many actions run at once (0: one per CPU, at least 4)",
        kind=int,
        metavar="N",
        most=_MOST_THREADS,
    )
    max_workers_per_key: int = _setting(
        4,
        "how many persistent workers may be alive for one pool key",
        kind=int,
        metavar="N",
        least=1,
        most=_MOST_THREADS,
    )
    max_workers: int = _setting(
        32,
        "how many persistent workers may be alive in total",
        kind=int,
        metavar="N",
        least=1,
        most=_MOST_THREADS,
    )
    worker_idle_timeout: float = _setting(
        300.0,
        "retire a worker after S seconds without a request (0: never)",
        kind=float,
        metavar="S",
    )
    worker_max_requests: int = _setting(
        0, "retire a worker after N requests (0: no limit)", kind=int, metavar="N"
    )
    worker_max_rss: int = _setting(
        0,
        "retire a worker whose resident memory exceeds BYTES (0: no limit)",
        kind=int,
        metavar="BYTES",
    )
    default_protocol: tuple[str, ...] = _setting(
        (AUTO,),
        "worker protocol of actions without persistentWorkerProtocol: proto, json, or auto, which "
        "tries proto with a new worker and, without a response, JSON with a second one; "
        "MNEMONIC=PROTOCOL applies to one mnemonic (repeatable)",
        kind=str,
        metavar="auto|proto|json|MNEMONIC=…",
    )
    default_timeout: float = _setting(
        600.0,
        "timeout of actions that set none, seconds",
        kind=float,
        metavar="S",
        least=0.001,
    )
    tool_inputs: tuple[str, ...] = _setting(
        (),
        "mark inputs that match GLOB as tool inputs (repeatable; for clients that can't mark them, such "
        "as Bazel before 6)",
        kind=str,
        flag="tool-input",
        metavar="GLOB",
    )
    personality: str = _setting(
        "reference",
        "follow the worker rules of the server NAME (docs/personalities.md)",
        kind=str,
        metavar="NAME",
    )
    known_properties: tuple[str, ...] = _setting(
        (),
        "refuse actions with platform properties other than NAME (repeatable), like clusters on which "
        "each property must be declared; default: accept all",
        kind=str,
        flag="known-property",
        metavar="NAME",
    )
    allow_local: bool = _setting(
        True, "run actions without a container image as local processes", kind=bool
    )
    allow_docker: bool = _setting(
        False, "run actions that name a container-image in a container", kind=bool
    )
    container_runtime: str = _setting(
        "docker", "docker-compatible command for containers", kind=str, metavar="docker|podman|PATH"
    )
    container_arguments: tuple[str, ...] = _setting(
        (),
        "add OPTION to every 'run' of the container runtime (repeatable), as in "
        "--container-argument=--runtime=crun",
        kind=str,
        flag="container-argument",
        metavar="OPTION",
    )
    container_global_arguments: tuple[str, ...] = _setting(
        (),
        "put OPTION before every subcommand of the container runtime (repeatable)",
        kind=str,
        flag="container-global-argument",
        metavar="OPTION",
    )
    isolation: str = _setting(
        IsolationKind.NONE.value,
        "isolate processes from the machine by this kernel feature; docs/isolation.md lists what each "
        "prevents, 'rpw-fixture doctor' shows which are available here",
        kind=str,
        choices=tuple(each.value for each in IsolationKind),
    )
    isolation_readable: tuple[str, ...] = _setting(
        (),
        "let isolated processes also read PATH and everything below it (repeatable)",
        kind=str,
        flag="isolation-readable",
        metavar="PATH",
    )
    limits: tuple[str, ...] = _setting(
        (),
        "set a resource limit for every process, as in --limit nofile=1024 (repeatable; see getrlimit)",
        kind=str,
        flag="limit",
        metavar="NAME=N",
    )
    root: str | None = _setting(
        None,
        "keep CAS and action cache in DIR across restarts (default: a temporary folder)",
        kind=str,
        metavar="DIR",
    )
    events: str | None = _setting(
        None, "append every event to FILE as a line of JSON", kind=str, metavar="FILE"
    )
    record: str | None = _setting(
        None, "record every action and its inputs in DIR, for 'check'", kind=str, metavar="DIR"
    )
    digest_functions: tuple[str, ...] = _setting(
        ("SHA256",),
        "offer this digest function (repeatable; the first is the default)",
        kind=str,
        flag="digest-function",
        metavar="NAME",
    )
    strict: bool = _setting(
        False, "refuse requests that are not canonical, with the reason", kind=bool
    )
    tls_cert: str | None = _setting(
        None, "certificate chain of the server, PEM", kind=str, metavar="FILE"
    )
    tls_key: str | None = _setting(None, "private key of the server, PEM", kind=str, metavar="FILE")
    tls_client_ca: str | None = _setting(
        None, "require client certificates signed by this CA, PEM", kind=str, metavar="FILE"
    )
    auth_token_file: str | None = _setting(
        None,
        "require the bearer token in FILE (metadata 'authorization')",
        kind=str,
        metavar="FILE",
    )
    web: str | None = _setting(
        None,
        "serve a page that shows workers and actions live at HOST:PORT (port 0 picks one)",
        kind=str,
        metavar="HOST:PORT",
    )
    allow_remote: bool = _setting(
        False,
        "allow an address that is not loopback; requires a token or TLS client certificates",
        kind=bool,
    )
    faults: tuple[str, ...] = _setting(
        (),
        "inject a fault: calls fail, wait or lose blobs, or workers die, as in "
        "--fault Execute:UNAVAILABLE:first=2 (repeatable). Syntax: TARGET[:EFFECT][:OPTION=VALUE]…, where "
        "TARGET is an RPC, * or worker; EFFECT is a status code, half-close, evict, evict-all, "
        "die-in-request or die-after-request; OPTION is first, every, after, delay or message",
        kind=str,
        flag="fault",
        metavar="SPEC",
    )
    idle_timeout: float = _setting(
        0.0, "exit after S seconds without a call (0: never)", kind=float, metavar="S"
    )
    abandoned_timeout: float = _setting(
        60.0,
        "cancel an action that no client has waited for or queried for S seconds (0: never)",
        kind=float,
        metavar="S",
    )
    log_level: str = _setting(
        "warning",
        "lowest level of messages that are logged to stderr",
        kind=str,
        choices=("debug", "info", "warning", "error"),
    )
    summary: bool | None = _setting(
        None,
        "print a summary to stderr at the end (default: when that is a terminal)",
        kind=bool,
    )
    # Settings of fixtures and checks, which have no flag.
    max_timeout: float = _setting(
        86_400.0, "longest timeout an action may ask for, seconds", least=0.001
    )
    max_multiplex: int = _setting(
        8,
        "how many requests one multiplex worker gets at a time",
        least=1,
        most=_MOST_THREADS,
    )
    when_full: str = _setting(
        "",
        "treatment of an action when no worker is free and none may be started: wait, one-shot, "
        "error (RESOURCE_EXHAUSTED) or grow; empty: as in the personality",
        choices=("", "wait", "one-shot", "error", "grow"),
    )
    worker_start_timeout: float = _setting(
        120.0,
        "seconds in which a new worker must begin to read its first request (0: no limit; Linux only)",
    )
    protocol_patience: float = _setting(
        2.0,
        "seconds without a response, after a new worker of an unknown protocol began to read, until "
        "the other protocol is tried with a second worker (--default-protocol auto)",
    )
    worker_verbosity: int = _setting(
        0, "verbosity of every WorkRequest; Bazel sends 10 with --worker_verbose", most=INT32
    )
    cancel_grace: float = _setting(
        2.0, "seconds in which a worker must answer a cancel message before it is killed"
    )
    shutdown_grace: float = _setting(
        5.0, "seconds that running actions get to end when the server stops"
    )
    max_frame_bytes: int = _setting(
        64 * MIB, "largest WorkResponse accepted, bytes", least=1, most=INT32
    )
    max_output_bytes: int = _setting(
        16 * MIB, "how much of an action's stdout, and of its stderr, is kept, bytes"
    )
    cas_memory_bytes: int = _setting(
        256 * MIB,
        "blobs kept in memory before they are written to disk, bytes; at most a quarter of the control "
        "group's memory limit. Action results may take another sixteenth of it, at least 4 MiB; then the "
        "least recently used are dropped, or read from --root again",
    )
    cas_spill_threshold: int = _setting(
        1 * MIB, "blobs of this size or larger are written to disk at once, bytes"
    )
    cas_max_bytes: int = _setting(
        16 << 30, "size from which the CAS evicts least recently used blobs, bytes", least=1
    )
    max_blob_bytes: int = _setting(8 << 30, "largest blob accepted, bytes", least=1)
    max_message_bytes: int = _setting(
        64 * MIB, "largest gRPC message accepted, bytes", least=1, most=INT32
    )
    max_input_files: int = _setting(
        500_000, "largest input root accepted, in files and folders", least=1
    )
    max_tree_depth: int = _setting(
        200, "deepest input root accepted, in folders", least=1, most=200
    )
    committed_size: str = _setting(
        CommittedSize.WIRE.value,
        "committed_size of compressed writes: wire, uncompressed, minus_one, auto",
        choices=tuple(each.value for each in CommittedSize),
    )
    high_api_version: str = _setting("2.12", "newest API version announced")
    absolute_symlinks: bool = _setting(
        True, "allow symlinks with absolute targets among inputs and outputs"
    )
    check_action_cache: bool = _setting(
        True, "return a cached result only when all its blobs are stored"
    )
    operation_grace: float = _setting(
        300.0, "seconds that a finished operation can still be queried"
    )
    retry_crashed_worker: bool = _setting(
        False, "retry an action once when its worker died while it worked on the action"
    )
    count_digests: bool = _setting(
        False, "count reads, writes and look-ups of each blob; slows down FindMissingBlobs"
    )
    threads: int = _setting(
        512,
        "threads for short calls, and half as many for uploads and downloads; waiting calls use none",
        least=1,
        most=_MOST_THREADS,
    )

    def __post_init__(self) -> None:
        for name, (shown, values) in checks().items():
            object.__setattr__(self, name, values.checked(getattr(self, name), shown))
        _require(
            (self.tls_cert is None) == (self.tls_key is None),
            "tls_cert",
            "and --tls-key go together",
        )
        _require(
            self.tls_client_ca is None or self.tls_cert is not None,
            "tls_client_ca",
            "needs --tls-cert",
        )
        for limit in self.limits:
            name, _, value = limit.partition("=")
            _require(bool(name) and value.isdecimal(), "limits", f"{limit!r}: write NAME=N")
        try:
            DefaultProtocols.parse(self.default_protocol)
        except ValueError as error:
            raise ConfigError(f"--default-protocol {error}") from None
        for spec in self.faults:
            Fault.parse(spec)
        version = self.high_api_version
        is_version = re.fullmatch(r"[0-9]+(\.[0-9]+){1,2}", version) is not None
        _require(is_version, "high_api_version", f"{version!r} is not a version such as 2.12")
        object.__setattr__(self, "jobs", self.jobs or default_jobs())

    def replace(self, **changes: Any) -> Config:
        """Return a copy with changed values.

        Raises:
            ConfigError: for an unknown setting, or a value out of range.
        """
        for name in changes.keys() - checks().keys():
            raise unknown_setting(name)
        return dataclasses.replace(self, **changes)


def unknown_setting(name: str) -> ConfigError:
    """Return the error for an unknown setting, with the most similar name."""
    hint = did_you_mean(name, checks())
    return ConfigError(
        f"unknown setting {name!r}{hint or '; docs/reference.md lists all settings'}"
    )


@functools.cache
def checks() -> Mapping[str, tuple[str, Values]]:
    """Return for each setting its name in messages, and the values that it accepts."""
    return {
        each.name: (
            f"--{each.metadata['flag'] or each.name.replace('_', '-')}"
            if each.metadata["kind"]
            else each.name,
            each.metadata["values"],
        )
        for each in dataclasses.fields(Config)
    }


def _require(condition: bool, name: str, problem: str) -> None:
    if not condition:
        raise ConfigError(f"{checks()[name][0]} {problem}")
