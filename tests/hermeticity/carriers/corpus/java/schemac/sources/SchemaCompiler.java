import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Compiles schemas: {@code SchemaCompiler --out FILE [--import FILE]... SOURCE}. */
public final class SchemaCompiler {
  private final TypeResolver resolver = new TypeResolver();

  private void compile(List<String> arguments) throws IOException {
    String output = null;
    Path source = null;
    for (int at = 0; at < arguments.size(); at++) {
      switch (arguments.get(at)) {
        case "--out" -> output = arguments.get(++at);
        case "--import" -> resolver.addImport(Path.of(arguments.get(++at)));
        default -> source = Path.of(arguments.get(at));
      }
    }
    List<String> lines = new ArrayList<>();
    for (String line : Files.readAllLines(source)) {
      if (!line.isBlank() && !line.startsWith("type ")) {
        String[] words = line.trim().split(" ");
        lines.add(words[0] + ": " + resolver.resolve(words[1]));
      }
    }
    Files.write(Path.of(output), lines);
  }

  private WorkerProtocol.WorkResponse answer(WorkerProtocol.WorkRequest request) {
    try {
      compile(request.arguments());
      return new WorkerProtocol.WorkResponse(0, "", request.requestId(), false);
    } catch (IOException | RuntimeException error) {
      return new WorkerProtocol.WorkResponse(1, error + "\n", request.requestId(), false);
    }
  }

  private static List<String> expand(String argument) {
    try {
      return argument.startsWith("@")
          ? Files.readAllLines(Path.of(argument.substring(1)))
          : List.of(argument);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  public static void main(String[] args) throws IOException {
    SchemaCompiler compiler = new SchemaCompiler();
    if (!List.of(args).contains("--persistent_worker")) {
      List<String> arguments = List.of(args).stream().flatMap(each -> expand(each).stream()).toList();
      var response = compiler.answer(new WorkerProtocol.WorkRequest(arguments, 0, false, ""));
      System.err.print(response.output());
      System.exit(response.exitCode());
    }
    OutputStream responses = System.out;
    System.setOut(new PrintStream(System.err, true));
    var requests = new BufferedInputStream(System.in);
    WorkerProtocol.WorkRequest request;
    while ((request = WorkerProtocol.readRequest(requests)) != null) {
      WorkerProtocol.writeResponse(responses, compiler.answer(request));
    }
  }
}
