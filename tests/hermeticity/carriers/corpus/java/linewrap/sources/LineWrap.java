import java.io.BufferedInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/** Breaks long lines: {@code WIDTH SOURCE OUTPUT}. */
public final class LineWrap {
  /** For a profiler. */
  static final AtomicLong LINES = new AtomicLong();

  private LineWrap() {}

  private static void run(List<String> arguments) throws IOException {
    int width = Integer.parseInt(arguments.get(0));
    List<String> result = new ArrayList<>();
    for (String line : Files.readAllLines(Path.of(arguments.get(1)))) {
      result.addAll(Wrapper.wrap(line, width));
      LINES.incrementAndGet();
    }
    Files.write(Path.of(arguments.get(2)), result);
  }

  private static WorkerProtocol.WorkResponse answer(WorkerProtocol.WorkRequest request) {
    try {
      run(request.arguments());
      return new WorkerProtocol.WorkResponse(0, "", request.requestId(), false);
    } catch (IOException | RuntimeException error) {
      return new WorkerProtocol.WorkResponse(1, error + "\n", request.requestId(), false);
    }
  }

  public static void main(String[] args) throws IOException {
    if (args[0].equals("--persistent_worker")) {
      BufferedInputStream requests = new BufferedInputStream(System.in);
      WorkerProtocol.WorkRequest request;
      while ((request = WorkerProtocol.readRequest(requests)) != null) {
        WorkerProtocol.writeResponse(System.out, answer(request));
      }
      return;
    }
    List<String> arguments =
        args[0].startsWith("@") ? Files.readAllLines(Path.of(args[0].substring(1))) : List.of(args);
    var response = answer(new WorkerProtocol.WorkRequest(arguments, 0, false, ""));
    System.err.print(response.output());
    System.exit(response.exitCode());
  }
}
