import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Looks for problems in lines NAME=VALUE: {@code [--disable=PROBLEM,…] --report=FILE SOURCE…}. */
public final class ConfLint {
  private final List<String> sources = new ArrayList<>();
  private Path report;

  private ConfLint(List<String> arguments) {
    for (String each : arguments) {
      if (each.startsWith("--disable=")) {
        for (String name : each.substring("--disable=".length()).split(",")) {
          Problem.named(name).disable();
        }
      } else if (each.startsWith("--report=")) {
        report = Path.of(each.substring("--report=".length()));
      } else {
        sources.add(each);
      }
    }
  }

  private void run() throws IOException {
    List<String> found = new ArrayList<>();
    for (String source : sources) {
      List<String> lines = Files.readAllLines(Path.of(source));
      for (int number = 1; number <= lines.size(); number++) {
        for (Problem problem : Problem.values()) {
          if (problem.isEnabled() && problem.isIn(lines.get(number - 1))) {
            found.add(source + ":" + number + ": " + problem.label());
          }
        }
      }
    }
    Files.write(report, found);
  }

  private static WorkerProtocol.WorkResponse answer(WorkerProtocol.WorkRequest request) {
    int exitCode = 0;
    String output = "";
    try {
      new ConfLint(request.arguments()).run();
    } catch (IOException | IllegalArgumentException error) {
      exitCode = 1;
      output = "conflint: " + error.getMessage() + "\n";
    }
    return new WorkerProtocol.WorkResponse(exitCode, output, request.requestId(), false);
  }

  public static void main(String[] args) throws IOException {
    if (args.length == 1 && args[0].equals("--persistent_worker")) {
      WorkerProtocol.WorkRequest request;
      while ((request = WorkerProtocol.readRequest(System.in)) != null) {
        WorkerProtocol.writeResponse(System.out, answer(request));
      }
      return;
    }
    List<String> arguments = new ArrayList<>();
    for (String each : args) {
      arguments.addAll(
          each.startsWith("@") ? Files.readAllLines(Path.of(each.substring(1))) : List.of(each));
    }
    var response = answer(new WorkerProtocol.WorkRequest(arguments, 0, false, ""));
    System.err.print(response.output());
    System.exit(response.exitCode());
  }
}
