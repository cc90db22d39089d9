import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/** {@code strpool SOURCE OUTPUT}, once or as a worker. */
public final class StrpoolMain {
  private StrpoolMain() {}

  private static int run(List<String> arguments, PrintWriter messages) {
    try {
      List<String> files =
          arguments.get(0).startsWith("@")
              ? Files.readAllLines(Path.of(arguments.get(0).substring(1)))
              : arguments;
      new PoolWriter().write(Path.of(files.get(0)), Path.of(files.get(1)));
      return 0;
    } catch (IOException error) {
      messages.println("strpool: " + error);
      return 1;
    }
  }

  public static void main(String[] args) throws IOException {
    if (!Arrays.asList(args).contains("--persistent_worker")) {
      PrintWriter messages = new PrintWriter(System.err, true);
      System.exit(run(List.of(args), messages));
    }
    var responses = new FileOutputStream(FileDescriptor.out);
    System.setOut(System.err);
    for (var request = WorkerProtocol.readRequest(System.in);
        request != null;
        request = WorkerProtocol.readRequest(System.in)) {
      StringWriter text = new StringWriter();
      int status = run(request.arguments(), new PrintWriter(text, true));
      WorkerProtocol.writeResponse(
          responses,
          new WorkerProtocol.WorkResponse(status, text.toString(), request.requestId(), false));
    }
  }
}
