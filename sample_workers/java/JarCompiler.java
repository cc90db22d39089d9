import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.function.BooleanSupplier;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import javax.tools.Diagnostic;
import javax.tools.DiagnosticCollector;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.StandardLocation;
import javax.tools.ToolProvider;

/**
 * Compiles Java sources to a jar. May be used by several threads at once.
 *
 * <p>Arguments: {@code --output JAR}, {@code --classpath A.jar:B.jar}, {@code --javacopt OPTION}
 * (repeatable), source files, {@code @flagfile}. The same sources, class path and JDK give the same
 * bytes: entries are sorted and have a fixed time.
 */
final class JarCompiler {
  private static final int FLAGFILE_DEPTH = 16;

  // Bazel's choice. For the first moment of 1980 Java would add a time in UTC, counted from the time
  // zone of the process.
  private static final LocalDateTime ENTRY_TIME = LocalDateTime.of(2010, 1, 1, 0, 0);

  private final JavaCompiler javac = ToolProvider.getSystemJavaCompiler();

  // The state worth keeping: file managers that have the JDK's own classes indexed. Each serves one
  // compilation at a time.
  private final ConcurrentLinkedDeque<StandardJavaFileManager> idlePlatforms =
      new ConcurrentLinkedDeque<>();

  /** What a compilation came to: an exit code, and the text for the user. */
  record Result(int exitCode, String output) {}

  /** A request that can't be carried out; the message is for the author of the action. */
  static final class ToolException extends Exception {
    private static final long serialVersionUID = 1;

    ToolException(String message) {
      super(message);
    }
  }

  /** Thrown where a cancelled request stops. */
  static final class CancelledException extends Exception {
    private static final long serialVersionUID = 1;
  }

  /** The parsed arguments of one action. */
  private static final class Options {
    String output = "";
    final List<String> classpath = new ArrayList<>();
    final List<String> sources = new ArrayList<>();
    final List<String> javacOptions = new ArrayList<>(List.of("-proc:none", "-implicit:none"));

    Options(List<String> arguments) throws ToolException {
      for (int at = 0; at < arguments.size(); at++) {
        String argument = arguments.get(at);
        if (!argument.startsWith("-")) {
          sources.add(argument);
        } else if (++at < arguments.size()) {
          take(argument, arguments.get(at));
        } else {
          throw new ToolException(argument + ": its value is missing");
        }
      }
      if (output.isEmpty()) {
        throw new ToolException("--output is missing");
      }
    }

    private void take(String name, String value) throws ToolException {
      switch (name) {
        case "--output" -> output = value;
        case "--javacopt" -> javacOptions.add(value);
        case "--classpath" -> classpath.addAll(
            List.of(value.split(":")).stream().filter(jar -> !jar.isEmpty()).toList());
        default -> throw new ToolException(name + ": unknown option");
      }
    }
  }

  /**
   * Runs one action. Nothing is written once {@code cancelled} says so.
   *
   * @param root the folder that the action's paths are relative to
   */
  Result run(List<String> arguments, Path root, BooleanSupplier cancelled)
      throws CancelledException {
    try {
      Options options = new Options(expand(arguments, root, FLAGFILE_DEPTH));
      checkpoint(cancelled);
      Path output = root.resolve(options.output);
      Files.deleteIfExists(output); // stale, and perhaps a link to a file that others share
      return compile(options, root, output, cancelled);
    } catch (ToolException | IllegalArgumentException error) {
      return new Result(1, error.getMessage() + "\n");
    } catch (IOException error) {
      return new Result(1, describe(error, root) + "\n");
    }
  }

  private Result compile(Options options, Path root, Path output, BooleanSupplier cancelled)
      throws IOException, CancelledException {
    StandardJavaFileManager platform = borrowPlatform();
    try (RequestFiles files = new RequestFiles(platform)) {
      for (String jar : options.classpath) {
        files.addJar(jar, root.resolve(jar));
      }
      List<JavaSource> sources = new ArrayList<>();
      for (String source : options.sources) {
        sources.add(new JavaSource(source, root.resolve(source)));
      }
      DiagnosticCollector<JavaFileObject> diagnostics = new DiagnosticCollector<>();
      boolean good =
          javac.getTask(null, files, diagnostics, options.javacOptions, null, sources).call();
      if (good) {
        byte[] jar = jar(files.compiledClasses());
        checkpoint(cancelled);
        Files.write(output, jar);
      }
      return new Result(good ? 0 : 1, render(diagnostics));
    } finally {
      idlePlatforms.push(platform);
    }
  }

  private StandardJavaFileManager borrowPlatform() throws IOException {
    StandardJavaFileManager platform = idlePlatforms.poll();
    if (platform == null) {
      platform = javac.getStandardFileManager(null, Locale.ENGLISH, StandardCharsets.UTF_8);
      // Else it is $CLASSPATH, or the exec root.
      platform.setLocationFromPaths(StandardLocation.CLASS_PATH, List.of());
    }
    return platform;
  }

  private static void checkpoint(BooleanSupplier cancelled) throws CancelledException {
    if (cancelled.getAsBoolean()) {
      throw new CancelledException();
    }
  }

  private static String render(DiagnosticCollector<JavaFileObject> diagnostics) {
    StringBuilder text = new StringBuilder();
    for (Diagnostic<? extends JavaFileObject> diagnostic : diagnostics.getDiagnostics()) {
      if (diagnostic.getSource() != null) {
        text.append(diagnostic.getSource().getName());
        text.append(':').append(diagnostic.getLineNumber()).append(": ");
      }
      switch (diagnostic.getKind()) {
        case ERROR -> text.append("error: ");
        case WARNING, MANDATORY_WARNING -> text.append("warning: ");
        default -> text.append("note: ");
      }
      text.append(diagnostic.getMessage(Locale.ENGLISH)).append('\n');
    }
    return text.toString();
  }

  private static byte[] jar(Map<String, byte[]> classes) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
      byte[] manifest = "Manifest-Version: 1.0\r\n\r\n".getBytes(StandardCharsets.US_ASCII);
      addEntry(zip, "META-INF/MANIFEST.MF", manifest);
      for (Map.Entry<String, byte[]> file : classes.entrySet()) {
        addEntry(zip, file.getKey(), file.getValue());
      }
    }
    return bytes.toByteArray();
  }

  private static void addEntry(ZipOutputStream zip, String path, byte[] content)
      throws IOException {
    ZipEntry entry = new ZipEntry(path);
    entry.setTimeLocal(ENTRY_TIME); // local, so that the time zone has no say in it
    zip.putNextEntry(entry);
    zip.write(content);
    zip.closeEntry();
  }

  /** Replaces flagfiles by their lines; {@code @@x} and {@code @repo//x} stay (Bazel's rule). */
  private static List<String> expand(List<String> arguments, Path root, int depth)
      throws IOException, ToolException {
    List<String> expanded = new ArrayList<>();
    for (String argument : arguments) {
      if (!argument.matches("@[^@].*") || argument.contains("//")) {
        expanded.add(argument);
      } else if (depth == 0) {
        throw new ToolException(argument + ": flagfiles are nested too deeply");
      } else {
        List<String> lines = Files.readAllLines(root.resolve(argument.substring(1)));
        expanded.addAll(expand(lines, root, depth - 1));
      }
    }
    return expanded;
  }

  /** What went wrong with which file, named as the action names it. */
  private static String describe(IOException error, Path root) {
    if (error instanceof FileSystemException failure && failure.getFile() != null) {
      String prefix = root.toString().isEmpty() ? "" : root + "/";
      String file = failure.getFile();
      String name = file.startsWith(prefix) ? file.substring(prefix.length()) : file;
      boolean missing = error instanceof NoSuchFileException;
      return name + ": " + (missing ? "no such file" : failure.getReason());
    }
    return error.toString();
  }
}
