"""The check codes: name, what is found, a real bug of that kind, and how to mend it. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rpw_fixture.errors import ConfigError


class Severity(StrEnum):
    """How bad a finding is; only errors make ``check`` fail."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class CheckCode:
    """One kind of finding.

    Attributes:
        name: short, for people.
        meaning: when it is found.
        example: a real bug it would have caught, with the place where that is told.
        remedy: what to do.
        note: what is tried and what is not, where that takes more words.
    """

    name: str
    meaning: str
    example: str
    remedy: str
    note: str = ""


_PIECES = (
    "Requests also come in two pieces and byte by byte, and with multiplex two in one write: a pipe "
    "keeps no boundaries, so one read may yield part of a request or more than one."
)

CODES: dict[str, CheckCode] = {
    "RPW101": CheckCode(
        "stdout-noise",
        "Bytes came on stdout that are no WorkResponse.",
        "A JVM warning about cgroups on stdout broke every build (rules_java#158; also bazel#4897, "
        "bazel#8505).",
        "Keep stdout for responses alone: at start-up duplicate descriptor 1 for the protocol and "
        "point 1 at stderr.",
    ),
    "RPW102": CheckCode(
        "no-response",
        "A request was not answered within its timeout.",
        "Bazel waits for ever for a worker that does not answer (bazel#10288).",
        "Answer every request, failed ones too; look for a lock or a read that waits for more input.",
        _PIECES,
    ),
    "RPW103": CheckCode(
        "crash",
        "The worker process ended during a request.",
        "Scala workers that died before the response lost their diagnostics (rules_scala#1839).",
        "Catch what the tool raises, System.exit included, and send it as a response.",
        _PIECES,
    ),
    "RPW104": CheckCode(
        "wrong-request-id",
        "A response carries another request_id than its request.",
        "A request_id of 0 is left out in JSON, and workers that expected it mixed requests up "
        "(bazel#14293).",
        "Copy request_id from the request into its response; take a missing one as 0.",
    ),
    "RPW105": CheckCode(
        "malformed-response",
        "A broken frame or JSON, two responses to one request, or a response before any request.",
        "Workers that flush parts of a response, or log between, are told as 'unparseable "
        "WorkResponse' (bazel#5767).",
        "Write each response once, whole, in one write, and flush.",
        _PIECES,
    ),
    "RPW106": CheckCode(
        "ignores-eof",
        "The worker still runs 5 seconds after its stdin was closed.",
        "Workers left behind hold memory and file locks after the build tool is gone.",
        "End when reading a request meets the end of stdin; make helper threads daemons.",
    ),
    "RPW107": CheckCode(
        "unknown-field-intolerant",
        "A field that the worker does not know in a WorkRequest made it fail or act differently.",
        "verbosity, cancel and sandbox_dir were all added later; strict readers broke on each.",
        "Ignore unknown fields: parse protobuf leniently, and JSON by the names you know.",
    ),
    "RPW108": CheckCode(
        "one-shot-broken",
        "The tool does not work without --persistent_worker.",
        "Bazel falls back to plain runs with --strategy or under dynamic execution.",
        "Without the flag, read the flagfile named by the last argument, work once and exit.",
    ),
    "RPW109": CheckCode(
        "failure-not-contained",
        "After a failing request a good one is not answered as by a fresh worker.",
        "After an OutOfMemoryError that was swallowed, a worker failed everything (bazel#14093).",
        "Reset per-request state in a finally block; exit when the process itself is damaged.",
    ),
    "RPW110": CheckCode(
        "cancel-broken",
        "A cancelled request is never answered, answered twice, or written to afterwards.",
        "Bazel reuses the folder of a cancelled request, so late writes hit another action.",
        "Answer each request exactly once, with was_cancelled or normally, after the last write.",
    ),
    "RPW111": CheckCode(
        "multiplex-mixup",
        "Overlapping requests got each other's answers.",
        "Detekt's multiplex worker was withdrawn (rules_detekt#48).",
        "Keep everything of a request in one object; never in globals or the current folder.",
    ),
    "RPW112": CheckCode(
        "orphan-processes",
        "Processes that the worker started outlive a response or the worker.",
        "Compile daemons left by workers keep sandboxes busy and memory used.",
        "Wait for every child before answering, and end helpers when stdin ends.",
    ),
    "RPW201": CheckCode(
        "nondeterministic",
        "The same action in two fresh workers gives different results.",
        "Time stamps in archives and hash order in outputs make every build a cache miss.",
        "Sort what you write, leave out times, and seed random numbers from the inputs.",
    ),
    "RPW202": CheckCode(
        "state-leak",
        "An earlier request changes a later result.",
        "Dart's summaries came out in another order only when running with workers (rules_dart#147).",
        "Keep no state between requests, or key it by content; the polluters named show which state.",
    ),
    "RPW203": CheckCode(
        "stale-input",
        "A path got new content, with size and time as before, and the old result came.",
        "kotlinc's archive cache by time and length gave stale targets (rules_kotlin#531); a class "
        "loader cached by path gave stale processors (rules_kotlin#1640, mended in #1672).",
        "Key caches by the input's digest from the request, or by a hash of the content.",
    ),
    "RPW204": CheckCode(
        "phantom-input",
        "An input was taken away and the action still succeeds from memory; a fresh worker needs it.",
        "A cache by path hides missing dependencies until a worker restarts (rules_kotlin#559).",
        "Before a cache is asked, check that the request lists the input.",
    ),
    "RPW205": CheckCode(
        "one-shot-mismatch",
        "The worker and a plain run of the tool give different results.",
        "Remote builds without workers and local ones with them poison each other's cache.",
        "Use one function for both ways; do not read settings at start-up in one of them only.",
    ),
    "RPW206": CheckCode(
        "input-mutation",
        "An input was changed, replaced or deleted.",
        "With hard-linked inputs such a write changes the content-addressed store itself.",
        "Copy what has to be edited to a temporary folder.",
    ),
    "RPW207": CheckCode(
        "undeclared-read",
        "Something was read that is neither an input, a tool input nor the system.",
        "Results then follow the machine and not the action (bazel#17729 tells the sandbox's limits).",
        "Declare the file as an input, or pass its content as an argument.",
        "As info, inputs are named that the action declares and never opens, as far as one cold and "
        "one one-shot run show.",
    ),
    "RPW208": CheckCode(
        "undeclared-write",
        "Something was written that is no declared output.",
        "A JVM writes /tmp/hsperfdata; worker caches beside the tool reach the next action.",
        "Write below TMPDIR and delete it, or declare the output.",
    ),
    "RPW209": CheckCode(
        "environment-dependence",
        "The result follows a factor of the environment; the finding names it.",
        "Scala's compiler cache was turned off because results followed the machine.",
        "Fix the factor inside the tool: explicit encodings, UTC, sorted listings.",
        "Listed inputs are one of the factors: servers list all inputs or none, with digests as hex "
        "text, raw bytes or Digest messages, so a digest is good for nothing but telling whether it "
        "is the one of last time. Results must be the same with any of these lists, and with digests "
        "that are others in each request though no content is: that may cost a cache miss. Trouble "
        "with no list or with empty digests is a warning. One digest for two contents is never "
        "tried: no server sends that.",
    ),
    "RPW210": CheckCode(
        "path-dependence",
        "The input root's absolute path reaches an output.",
        "Debug information with absolute paths misses the cache on each machine.",
        "Write paths relative to the working directory (-fdebug-prefix-map and the like).",
    ),
    "RPW211": CheckCode(
        "stale-output",
        "An output that was there before the request is passed off as this request's.",
        "Tools that skip work when the output is newer than the input keep yesterday's result.",
        "Delete or truncate outputs first, and write them on every request.",
    ),
    "RPW212": CheckCode(
        "diagnostics-leak",
        "Response text carries an earlier request's text.",
        "Shared log buffers show a user the warnings of somebody else's action.",
        "Use a new buffer for each request and restore redirected streams in a finally block.",
    ),
    "RPW213": CheckCode(
        "concurrency-leak",
        "Overlapping requests change a result.",
        "Multiplex sandboxes shared per mnemonic raced (bazel#22589).",
        "Make request handling free of shared mutable state; locks alone do not help caches.",
    ),
    "RPW216": CheckCode(
        "late-access",
        "Outputs were written after the response.",
        "Threads that still flush when the answer is out hand half a file to the next action "
        "(rules_scala#1486, bazel#11796).",
        "Close every file and join every thread before the response is written.",
    ),
    "RPW301": CheckCode(
        "memory-growth",
        "Resident memory grows with every identical request.",
        "A class loader per request cost 130 MB of metaspace each, until the JVM died (ksp#2959).",
        "Bound caches, close class loaders, and drop references to the request.",
    ),
    "RPW302": CheckCode(
        "descriptor-growth",
        "Open descriptors grow with every identical request.",
        "Jar files opened for each request and never closed end in 'too many open files'.",
        "Close files in with blocks or try-with-resources.",
    ),
    "RPW303": CheckCode(
        "thread-growth",
        "Threads grow with every identical request.",
        "A thread pool for each request that is never shut down.",
        "Share one pool, or shut it down before the response.",
    ),
    "RPW304": CheckCode(
        "temporary-growth",
        "Files left in the temporary folder or home grow with every identical request.",
        "Native libraries unpacked to TMPDIR once a request fill the disk.",
        "Delete temporary files before the response.",
    ),
    "RPW401": CheckCode(
        "unmarked-tool",
        "At start-up the worker reads an input that is no tool input, so changing it would not "
        "restart the worker.",
        "Without tool marks remote servers can't tell when a worker is outdated (bazel#28493).",
        "Mark the file as a tool input, or read it anew for each request.",
    ),
    "RPW402": CheckCode(
        "key-collision",
        "One persistentWorkerKey stands for different tool inputs.",
        "Servers that trust the key alone reuse a worker of the old tool.",
        "Use a client that hashes all tool inputs into the key.",
    ),
    "RPW403": CheckCode(
        "key-churn",
        "There are many keys for one tool, so its workers can't be reused.",
        "Start-up flags that differ for each target start a worker each.",
        "Move what differs from the startup arguments into the flagfile.",
    ),
}


def expand(patterns: str) -> frozenset[str]:
    """The codes that a comma-separated list of codes or prefixes names.

    Raises:
        ConfigError: for a prefix of no code.
    """
    found: set[str] = set()
    for part in patterns.split(","):
        prefix = part.strip().upper()
        matching = {code for code in CODES if prefix and code.startswith(prefix)}
        if not matching:
            raise ConfigError(
                f"{part.strip()!r} is no check code and no prefix of one, such as RPW2"
            )
        found |= matching
    return frozenset(found)


def explain(code: str) -> str:
    """What a code means, as ``check --explain`` prints it.

    Raises:
        ConfigError: for an unknown code.
    """
    entry = CODES.get(code.upper())
    if entry is None:
        raise ConfigError(f"{code!r} is no check code; known are {', '.join(CODES)}")
    note = f"{entry.note}\n\n" if entry.note else ""
    return (
        f"{code.upper()} {entry.name}\n\n{entry.meaning}\n\n{note}"
        f"Seen before: {entry.example}\n\nMend it: {entry.remedy}\n"
    )
