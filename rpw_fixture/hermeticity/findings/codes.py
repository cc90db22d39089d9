"""The check codes: name, meaning, a real bug of that kind, and how to fix it. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rpw_fixture.errors import ConfigError

_PAGES = "https://github.com/rpw-fixture/rpw_fixture/blob/main/docs/checks"


class Severity(StrEnum):
    """The severity of a finding; only errors make ``check`` fail."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class CheckCode:
    """One kind of finding.

    Attributes:
        name: a short name.
        meaning: when it is found.
        example: a real bug that it would have caught, with its source.
        remedy: how to fix it.
        note: details of what is tried and what is not; empty for most codes.
    """

    name: str
    meaning: str
    example: str
    remedy: str
    note: str = ""


CODES: dict[str, CheckCode] = {
    "RPW101": CheckCode(
        "stdout-noise",
        "The worker writes bytes to stdout that are not a WorkResponse.",
        "A JVM warning about cgroups on stdout broke every build (rules_java#158; also bazel#4897, "
        "bazel#8505).",
        "Use stdout for responses only: at start-up, duplicate descriptor 1 for the protocol and "
        "redirect 1 to stderr.",
    ),
    "RPW102": CheckCode(
        "no-response",
        "A request is not answered within its timeout.",
        "Bazel waits forever for a worker that does not answer (bazel#10288).",
        "Answer every request, also failed ones; look for a lock, or a read that waits for more input.",
    ),
    "RPW103": CheckCode(
        "crash",
        "The worker process ends during a request.",
        "Scala workers that died before the response lost their diagnostics (rules_scala#1839).",
        "Catch what the tool raises, including System.exit, and send it as a response; do not end when "
        "no request comes for a while.",
    ),
    "RPW104": CheckCode(
        "wrong-request-id",
        "A response has another request_id than its request.",
        "A request_id of 0 is left out in JSON, and workers that expected it mixed up requests "
        "(bazel#14293).",
        "Copy request_id from the request into its response; a missing request_id means 0.",
    ),
    "RPW105": CheckCode(
        "malformed-response",
        "The worker writes a broken frame or JSON, two responses to one request, or a response before "
        "any request.",
        "If a worker flushes parts of a response, or logs in between, Bazel reports an 'unparseable "
        "WorkResponse' (bazel#5767).",
        "Write each response once, as a whole, in one write, and flush.",
    ),
    "RPW106": CheckCode(
        "ignores-eof",
        "The worker still runs 5 seconds after its stdin was closed.",
        "Workers that stay hold memory and file locks after the build tool has ended.",
        "End when reading a request reaches the end of stdin; make helper threads daemon threads.",
    ),
    "RPW107": CheckCode(
        "unknown-field-intolerant",
        "A WorkRequest field that the worker does not know makes it fail or changes the result.",
        "verbosity, cancel and sandbox_dir were all added later, and each broke strict readers.",
        "Ignore unknown fields: parse protobuf leniently, and in JSON read only the names you know.",
    ),
    "RPW108": CheckCode(
        "one-shot-broken",
        "The tool does not work without --persistent_worker.",
        "Bazel falls back to plain runs with --strategy or under dynamic execution.",
        "Without the flag, read the flagfile that the last argument names, do the work once and exit.",
    ),
    "RPW109": CheckCode(
        "failure-not-contained",
        "After a failing request, a good request gives a different result than in a fresh worker.",
        "A worker swallowed an OutOfMemoryError and failed every later request (bazel#14093).",
        "Reset the state of a request in a finally block; exit if the process itself is damaged.",
    ),
    "RPW110": CheckCode(
        "cancel-broken",
        "A cancelled request is never answered, is answered twice, or still writes afterwards.",
        "Bazel reuses the folder of a cancelled request, so late writes damage another action.",
        "Answer each request exactly once, with was_cancelled or normally, after its last write.",
    ),
    "RPW111": CheckCode(
        "multiplex-mixup",
        "Overlapping requests get each other's responses.",
        "Detekt's multiplex worker was withdrawn (rules_detekt#48).",
        "Keep the state of a request in one object, never in globals or the current directory.",
    ),
    "RPW112": CheckCode(
        "orphan-processes",
        "Processes that the worker started outlive a response or the worker.",
        "Compile daemons that workers leave behind keep sandboxes busy and use memory.",
        "Wait for every child process before responding, and end helpers when stdin ends.",
    ),
    "RPW113": CheckCode(
        "large-message-broken",
        "A large request, or one with a large request_id, is not served as a small one.",
        "The precompiler of rules_python reads at most 4 MiB at once, so longer requests break it.",
        "Read as many bytes as the length says, in a loop, and write until everything is written; keep "
        "lengths and request ids in 32 bits.",
        "Requests have up to 20,000 more inputs, up to 4,000 unknown options, or one unknown option of "
        "64 KiB, 1 MiB and more than 4 MiB, which many tools repeat in an answer of that size. A report "
        "says how long the largest answer was.",
    ),
    "RPW114": CheckCode(
        "misspelt-response",
        "A JSON response has a field that one reader ignores and another one accepts or refuses.",
        "A worker answered with exit_code instead of exitCode, so Bazel took failures for successes "
        "(rules_clojure#24).",
        "Use exitCode, output, requestId and wasCancelled, and no other names.",
    ),
    "RPW115": CheckCode(
        "unterminated-json",
        "A JSON response does not end with a newline.",
        "The worker of rules_swift writes no newline, and NativeLink waits for one.",
        "Write each response as one line: the object without line breaks, a newline, and flush.",
    ),
    "RPW116": CheckCode(
        "sandbox-ignored",
        "A request with sandbox_dir is worked on outside of that folder.",
        "Bazel gives each overlapping request a separate folder, NativeLink every request "
        "(bazel#31153).",
        "Resolve every path of a request below its sandbox_dir, paths inside of flagfiles and outputs "
        "included; the worker's own files stay where they are.",
    ),
    "RPW117": CheckCode(
        "not-multiplex",
        "A worker of which the suite says multiplex serves one request after the other.",
        "Such a worker takes requests from Bazel that would otherwise run in several workers at once.",
        "Give each request a thread, and hold no lock during its work; or do not say multiplex.",
        "One request is held at an input, which is a named pipe meanwhile; another one must be answered.",
    ),
    "RPW118": CheckCode(
        "cut-request",
        "A request that arrives in pieces, or in one write with the next one, is misread.",
        "The worker of rules_js takes each chunk of stdin for one request, and large requests come in "
        "several chunks.",
        "Keep what read() returns in a buffer until a whole request is there, and keep the rest for the "
        "next one: with proto as many bytes as the length says, with JSON up to the end of the line. A "
        "read() of a fixed size may return less, and a line reader is no reader of proto.",
        "Requests are sent in two pieces, with their first byte alone, and byte by byte; with multiplex "
        "also two in one write, with cancellation a request and its cancel request. A pipe keeps no "
        "boundaries.",
    ),
    "RPW201": CheckCode(
        "nondeterministic",
        "The same action in two fresh workers gives different results.",
        "Timestamps in archives and hash order in outputs make every build a cache miss.",
        "Sort what you write, leave out times, and seed random numbers from the inputs.",
    ),
    "RPW202": CheckCode(
        "state-leak",
        "An earlier request changes a later result.",
        "Dart's summaries had another order only when built with workers (rules_dart#147).",
        "Keep no state between requests, or use the content as its key; the polluters show which state.",
    ),
    "RPW203": CheckCode(
        "stale-input",
        "An input has new content with the same size and time, and the worker gives the old result.",
        "kotlinc's archive cache by time and length gave stale targets (rules_kotlin#531); a class "
        "loader cached by path gave stale processors (rules_kotlin#1640, fixed in #1672).",
        "Use the input's digest from the request as cache key, or a hash of the content.",
    ),
    "RPW204": CheckCode(
        "phantom-input",
        "An input is gone and the action still succeeds from memory, though a fresh worker needs it.",
        "A cache by path hides missing dependencies until a worker restarts (rules_kotlin#559).",
        "Before you use a cache, check that the request lists the input.",
    ),
    "RPW205": CheckCode(
        "one-shot-mismatch",
        "The worker and a one-shot run of the tool give different results.",
        "Remote builds without workers and local builds with workers poison each other's cache.",
        "Use one function for both modes; do not read settings at start-up in only one of them.",
    ),
    "RPW206": CheckCode(
        "input-mutation",
        "An action changes, replaces or deletes an input.",
        "With hard-linked inputs, such a write changes the content-addressed store itself.",
        "Copy files that must be edited to a temporary folder.",
    ),
    "RPW207": CheckCode(
        "undeclared-read",
        "An action reads a file that is not an input, not a tool input and not part of the system.",
        "Results then depend on the machine (bazel#17729 describes the limits of the sandbox).",
        "Declare the file as an input, or pass its content as an argument.",
        "An info names the inputs that the action declares and never opens, in one cold run and one "
        "one-shot run.",
    ),
    "RPW208": CheckCode(
        "undeclared-write",
        "An action writes a file that is not a declared output.",
        "Worker caches that are written beside the tool affect the next action.",
        "Write below TMPDIR and delete it, or declare the output.",
        "The performance data of a JVM in /tmp/hsperfdata_USER is an information: -XX:-UsePerfData turns "
        "it off.",
    ),
    "RPW209": CheckCode(
        "environment-dependence",
        "The result depends on the environment; the finding names the factor.",
        "Scala's compiler cache was turned off because results depended on the machine.",
        "Fix the factor inside the tool: explicit encodings, UTC, sorted listings.",
        "Listed inputs are one of the factors. Servers list all inputs or none, with digests as hex "
        "text, raw bytes or Digest messages, so a worker may only compare a digest with an earlier "
        "one. Results must be the same with any of these lists, and also if digests change in each "
        "request while contents do not; that may only cost a cache miss. A difference with no list "
        "or with empty digests is a warning. One digest for two contents is never tried: no server "
        "sends that.",
    ),
    "RPW210": CheckCode(
        "path-dependence",
        "The absolute path of the input root reaches an output.",
        "Debug information with absolute paths is a cache miss on every other machine.",
        "Write paths relative to the working directory (for example with -fdebug-prefix-map).",
    ),
    "RPW211": CheckCode(
        "stale-output",
        "An output that existed before the request changes the result.",
        "Tools that do nothing if the output is newer than the input keep an old result.",
        "Delete or truncate outputs first, and write them on every request.",
        "Tried with files of unknown content and with outputs of another action, in output folders too. A "
        "file that stays in an output folder is a warning: many servers empty such folders.",
    ),
    "RPW212": CheckCode(
        "diagnostics-leak",
        "The response text contains text of an earlier request.",
        "With a shared log buffer, a user sees the warnings of another action.",
        "Use a new buffer for each request and restore redirected streams in a finally block.",
    ),
    "RPW213": CheckCode(
        "concurrency-leak",
        "A result changes when requests overlap.",
        "Multiplex sandboxes shared per mnemonic had a race condition (bazel#22589).",
        "Do not share mutable state between requests; locks alone do not make caches correct.",
    ),
    "RPW214": CheckCode(
        "surviving-state",
        "What an ended worker left in HOME, in TMPDIR or as undeclared files in the input root changes the "
        "result of a fresh worker in its place.",
        "A fresh worker read files that a previous process had left (rules_python#3933).",
        "Use the content of the inputs as the key of everything you keep on disk, or delete it when the "
        "worker starts.",
        "An incremental store is no finding, a result that differs because of it is one. The worker before "
        "gets the same requests, requests with other contents of the inputs, and requests that fail.",
    ),
    "RPW215": CheckCode(
        "interrupted-state",
        "After a worker was killed in mid-request, or after a request was cancelled, a fresh worker in its "
        "place gives another result.",
        "An incremental store outlived a failed, killed or cancelled compilation and poisoned the cache "
        "(rules_swift#1126, rules_rust#517).",
        "Write files under another name and rename them when they are complete; remove locks whose "
        "process is gone.",
        "A worker is killed when it first changes a file, and another one during its work. Whether that "
        "leaves something depends on the moment, so a pass is no proof.",
    ),
    "RPW216": CheckCode(
        "late-access",
        "Inputs are read, outputs are written, or one of them is still open after the response.",
        "If a thread still writes after the response, the next action gets half a file "
        "(rules_scala#1486, bazel#11796).",
        "Close every file and join every thread before you write the response.",
        "Files of the tool may stay open. Open files count 150 ms after the response.",
    ),
    "RPW218": CheckCode(
        "diagnostics-lost",
        "A one-shot run prints text that the warm worker's response does not have.",
        "Warnings went to stderr and never into the response (rules_python#3994).",
        "Capture everything that the tool prints during a request and return it in the response's output.",
        "A warning. What the tool prints at its start does not count, nor what one-shot runs print "
        "differently.",
    ),
    "RPW301": CheckCode(
        "memory-growth",
        "Resident memory grows with every identical request, or without a limit with different ones.",
        "A class loader per request took 130 MB of metaspace each time, until the JVM died (ksp#2959).",
        "Limit caches, close class loaders, and drop references to the request.",
    ),
    "RPW302": CheckCode(
        "descriptor-growth",
        "The number of open descriptors grows with every identical request.",
        "Jar files that each request opens and never closes lead to 'too many open files'.",
        "Close files with `with` blocks or try-with-resources.",
    ),
    "RPW303": CheckCode(
        "thread-growth",
        "The number of threads grows with every identical request.",
        "A worker creates a thread pool for each request and never shuts it down.",
        "Share one pool, or shut it down before the response.",
    ),
    "RPW304": CheckCode(
        "temporary-growth",
        "The number of files in TMPDIR or HOME grows with every identical request.",
        "Native libraries that each request unpacks to TMPDIR fill the disk.",
        "Delete temporary files before the response.",
    ),
    "RPW401": CheckCode(
        "unmarked-tool",
        "At start-up the worker reads an input that is not a tool input, so changing it does not "
        "restart the worker.",
        "Without marked tool inputs, remote servers can't know when a worker is outdated (bazel#28493).",
        "Mark the file as a tool input, or read it again for each request.",
    ),
    "RPW402": CheckCode(
        "key-collision",
        "One persistentWorkerKey stands for different tool inputs.",
        "Servers that rely on the key alone reuse a worker of the old tool.",
        "Use a client whose key is a hash of all tool inputs.",
    ),
    "RPW403": CheckCode(
        "key-churn",
        "One tool has many worker keys, so its workers can't be reused.",
        "If startup arguments differ for each target, each target starts a worker.",
        "Move the differing arguments from the command line into the flagfile.",
    ),
}


def page_url(code: str) -> str:
    """Return the address of the page about a code."""
    return f"{_PAGES}/{code}.md"


def listing(prefix: str = "") -> str:
    """Return a line with code, name and meaning for each code that begins with ``prefix``.

    Raises:
        ConfigError: no code does.
    """
    codes = expand(prefix) if prefix else frozenset(CODES)
    width = max(len(CODES[each].name) for each in codes)
    lines = (f"{each}  {CODES[each].name:{width}}  {CODES[each].meaning}" for each in sorted(codes))
    return "".join(f"{line}\n" for line in lines)


def expand(patterns: str) -> frozenset[str]:
    """Return the codes that a comma-separated list of codes or prefixes names.

    Raises:
        ConfigError: an entry is not a code and not a prefix of one.
    """
    found: set[str] = set()
    for part in patterns.split(","):
        prefix = part.strip().upper()
        matching = {code for code in CODES if prefix and code.startswith(prefix)}
        if not matching:
            raise ConfigError(
                f"{part.strip()!r} is not a check code and not a prefix of one, such as RPW2"
            )
        found |= matching
    return frozenset(found)


def chosen(
    select: str | None, ignore: str | None, default: frozenset[str] = frozenset(CODES)
) -> frozenset[str]:
    """Return the codes to check.

    Args:
        select: a list as `expand` takes it; None for the default.
        ignore: likewise, of codes to leave out; None for none.
        default: the codes when none are selected.

    Raises:
        ConfigError: for an unknown code, and when none is left: that would pass without a check.
    """
    selected = expand(select) if select is not None else default
    left = selected - (expand(ignore) if ignore is not None else frozenset())
    if not left:
        raise ConfigError(f"nothing is left to check: ignore {ignore!r} has all that was selected")
    return left
