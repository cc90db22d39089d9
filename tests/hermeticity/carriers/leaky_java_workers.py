"""Small Java workers that keep state; the line that defines it ends in ``// here``."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.sample_workers.requirements import require_program

#: A worker that lives a second: the simpler compiler and collector, and no file in /tmp.
JAVA = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData")
#: A tool that writes one line, with a memo of a pure function that changes nothing.
FRAME = """\
package tool;
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.regex.*;
public final class {title} {{
  private static final Map<String, String> MEMO = new HashMap<>();
  private static final Pattern ARGUMENTS =
      Pattern.compile("\\"arguments\\": ?\\\\[\\"([^\\"]*)\\", ?\\"([^\\"]*)\\"");
  private long requests = 0;
{state}
  private void answer(String line) throws Exception {{
    Matcher strings = ARGUMENTS.matcher(line);
    strings.find();
    requests += 1;
    String name = strings.group(1);
    String text = MEMO.computeIfAbsent(name, String::toUpperCase) + " " + compile(name) + "\\n";
    Files.write(Paths.get(strings.group(2)), text.getBytes(StandardCharsets.UTF_8));
    System.out.println("{{\\"exitCode\\": 0, \\"output\\": \\"\\"}}");
  }}
  public static void main(String[] arguments) throws Exception {{
    {title} worker = new {title}();
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = lines.readLine()) != null; ) {{
      worker.answer(line);
    }}
  }}
}}
"""


@dataclass(frozen=True)
class LeakyJava:
    """A worker, and the carrier that is to be found.

    Attributes:
        title: name of its class.
        kind, name: of the carrier.
        state: members of the class.
        heap: the most memory of its objects.
    """

    title: str
    kind: str
    name: str
    state: str
    heap: str = "64m"

    @property
    def source(self) -> str:
        return FRAME.format(title=self.title, state=self.state)

    @property
    def command(self) -> tuple[str, ...]:
        return (
            require_program("java"),
            *JAVA,
            f"-Xmx{self.heap}",
            "-cp",
            "tools",
            f"tool.{self.title}",
        )

    def __str__(self) -> str:
        return self.title


def compiled(workers: Sequence[LeakyJava], folder: Path) -> Path:
    """Compile workers in one go; return the folder of their classes."""
    classes = folder / "classes"
    sources = []
    for each in workers:
        sources.append(folder / f"{each.title}.java")
        sources[-1].write_text(each.source)
    javac = (require_program("javac"), "-J-XX:TieredStopAtLevel=1", "-proc:none", "-nowarn")
    subprocess.run([*javac, "-d", str(classes), *map(str, sources)], check=True)
    return classes


def put_classes(worker: LeakyJava, classes: Path, tools: Path) -> None:
    """Copy the classes of one worker."""
    (tools / "tool").mkdir(parents=True)
    for pattern in (f"{worker.title}.class", f"{worker.title}$*.class"):
        for each in (classes / "tool").glob(pattern):
            shutil.copy(each, tools / "tool")


LEAKY_JAVA = [
    LeakyJava(
        "StaticMap",
        "static field",
        "tool.StaticMap.SYMBOLS",
        """
  private static final Map<String, Integer> SYMBOLS = new HashMap<>(); // here
  private String compile(String name) {
    SYMBOLS.merge(name, 1, Integer::sum);
    return new TreeMap<>(SYMBOLS).toString();
  }
""",
    ),
    LeakyJava(
        "Collector",
        "static field",
        "tool.Collector.text",
        """
  private static final StringBuilder text = new StringBuilder(); // here
  private String compile(String name) {
    text.append('<').append(name).append('>');
    return text.toString();
  }
""",
    ),
    LeakyJava(
        "PerThread",
        "static field",
        "tool.PerThread.LAST",
        """
  private static final ThreadLocal<String> LAST = ThreadLocal.withInitial(() -> "none"); // here
  private String compile(String name) {
    String last = LAST.get();
    LAST.set(name);
    return last;
  }
""",
    ),
    LeakyJava(
        "Property",
        "system property",
        "tool.mode",
        """
  private String compile(String name) {
    String mode = System.getProperty("tool.mode", "plain");
    System.setProperty("tool.mode", name);
    return mode;
  }
""",
    ),
    LeakyJava(
        "Singleton",
        "static field",
        "tool.Singleton$Options.INSTANCE.header",
        """
  static final class Options {
    static final Options INSTANCE = new Options();
    private String header = ""; // here
    static Options get() { return INSTANCE; }
  }
  private String compile(String name) {
    String header = Options.get().header;
    Options.get().header = name;
    return header;
  }
""",
    ),
    LeakyJava(
        "Nested",
        "static field",
        "tool.Nested$Registry.PLUGINS",
        """
  static final class Registry {
    static final Set<String> PLUGINS = new LinkedHashSet<>(); // here
  }
  private String compile(String name) {
    Registry.PLUGINS.add(name);
    return String.join(",", Registry.PLUGINS);
  }
""",
    ),
    LeakyJava(
        "TemporaryFile",
        "file",
        "$TMPDIR/tool.last",
        """
  private String compile(String name) throws IOException {
    Path last = Paths.get(System.getenv("TMPDIR"), "tool.last");
    String before = Files.exists(last) ? new String(Files.readAllBytes(last)) : "none";
    Files.write(last, name.getBytes());
    return before;
  }
""",
    ),
    LeakyJava(
        "DefaultLocale",
        "global",
        "Locale.getDefault()",
        """
  private String compile(String name) {
    String number = String.format("%.1f", 1.5);
    Locale.setDefault(Locale.GERMANY);
    return number;
  }
""",
    ),
    LeakyJava(
        "Counter",
        "static field",
        "tool.Counter.NEXT",
        """
  private static final AtomicInteger NEXT = new AtomicInteger(); // here
  private String compile(String name) {
    return "label" + NEXT.getAndIncrement();
  }
""",
    ),
    LeakyJava(
        "Flag",
        "static field",
        "tool.Flag.isStrict",
        """
  private static boolean isStrict; // here
  private String compile(String name) {
    String before = isStrict ? "strict" : "lax";
    isStrict = true;
    return before;
  }
""",
    ),
    LeakyJava(
        "Field",
        "instance field",
        "tool.Field.warnings",
        """
  private final List<String> warnings = new ArrayList<>(); // here
  private String compile(String name) {
    warnings.add(name);
    return warnings.toString();
  }
""",
    ),
    LeakyJava(
        "Buffer",
        "static field",
        "tool.Buffer.SCRATCH",
        """
  private static final byte[] SCRATCH = new byte[16]; // here
  private String compile(String name) {
    byte[] bytes = name.getBytes();
    System.arraycopy(bytes, 0, SCRATCH, 0, bytes.length);
    return new String(SCRATCH, StandardCharsets.ISO_8859_1).trim();
  }
""",
    ),
    LeakyJava(
        "Redirected",
        "global",
        "System.err",
        """
  private String compile(String name) {
    String before = System.err.getClass().getSimpleName();
    System.setErr(new PrintStream(System.err) { });
    return before;
  }
""",
    ),
]
