import com.google.devtools.build.lib.worker.JsonWorkerMessageProcessor;
import com.google.devtools.build.lib.worker.ProtoWorkerMessageProcessor;
import com.google.devtools.build.lib.worker.WorkRequestHandler;
import com.google.devtools.build.lib.worker.WorkRequestHandler.WorkRequestCallback;
import com.google.devtools.build.lib.worker.WorkRequestHandler.WorkRequestHandlerBuilder;
import com.google.devtools.build.lib.worker.WorkRequestHandler.WorkerMessageProcessor;
import com.google.gson.stream.JsonReader;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** Writes a file in capitals, on Bazel's own WorkRequestHandler. Arguments: IN OUT. */
public final class Upper {
  private Upper() {}

  public static void main(String[] arguments) throws IOException {
    List<String> given = Arrays.asList(arguments);
    if (given.contains("--persistent_worker")) {
      new WorkRequestHandlerBuilder(
              new WorkRequestCallback((request, text) -> upper(request.getArgumentsList(), text)),
              System.err,
              given.contains("--json") ? json() : new ProtoWorkerMessageProcessor(System.in, System.out))
          .setCancelCallback((request, thread) -> thread.interrupt())
          .build()
          .processRequests();
      return;
    }
    String flagfile = given.get(given.size() - 1).substring(1);
    PrintWriter text = new PrintWriter(System.err, true);
    System.exit(upper(Files.readAllLines(Path.of(flagfile)), text));
  }

  private static WorkerMessageProcessor json() {
    return new JsonWorkerMessageProcessor(
        new JsonReader(new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))),
        new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.UTF_8)));
  }

  private static int upper(List<String> arguments, PrintWriter text) {
    try {
      Path out = Path.of(arguments.get(1));
      Files.createDirectories(out.toAbsolutePath().getParent());
      Files.writeString(out, Files.readString(Path.of(arguments.get(0))).toUpperCase(Locale.ROOT));
      return 0;
    } catch (IOException error) {
      text.println(error);
      return 1;
    }
  }
}
