import java.io.BufferedInputStream;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A persistent worker that compiles Java: the kind of tool that workers were made for.
 *
 * <p>{@code --persistent_worker} serves length-prefixed protobuf requests until stdin ends, with
 * {@code --multiplex} several at once; without it the tool runs once. See {@link JarCompiler} for
 * the other arguments; those of the command line are put before those of every request.
 *
 * <p>Files: javac_worker.jar, made by build.py.
 */
public final class JavaCompileWorker {
  private static final long GRACE_SECONDS = 2;

  private final JarCompiler compiler = new JarCompiler();
  private final List<String> startupArguments;
  private final OutputStream responses;

  /** The requests under way, each with the mark that cancels it. */
  private final Map<Integer, AtomicBoolean> running = new ConcurrentHashMap<>();

  private JavaCompileWorker(List<String> startupArguments, OutputStream responses) {
    this.startupArguments = startupArguments;
    this.responses = responses;
  }

  public static void main(String[] args) throws Exception {
    List<String> arguments = new ArrayList<>(List.of(args));
    boolean multiplex = arguments.remove("--multiplex");
    if (!arguments.remove("--persistent_worker")) {
      System.exit(runOnce(arguments));
    }
    // Whatever prints from here on goes to stderr: stdout is the protocol.
    OutputStream responses = new FileOutputStream(FileDescriptor.out);
    System.setOut(System.err);
    InputStream requests = new BufferedInputStream(new FileInputStream(FileDescriptor.in));
    System.setIn(InputStream.nullInputStream());
    JavaCompileWorker worker = new JavaCompileWorker(arguments, responses);
    if (multiplex) {
      worker.serveMultiplex(requests);
    } else {
      worker.serve(requests);
    }
  }

  private static int runOnce(List<String> arguments) {
    JavaCompileWorker worker = new JavaCompileWorker(List.of(), OutputStream.nullOutputStream());
    var request = new WorkerProtocol.WorkRequest(arguments, 0, false, "");
    WorkerProtocol.WorkResponse response = worker.answer(request, new AtomicBoolean());
    System.err.print(response.output());
    return response.exitCode();
  }

  /** One request after the other; a cancel read here is about one that is answered already. */
  private void serve(InputStream requests) throws IOException {
    WorkerProtocol.WorkRequest request;
    while ((request = WorkerProtocol.readRequest(requests)) != null) {
      if (!request.cancel()) {
        send(answer(request, new AtomicBoolean()));
      }
    }
  }

  private void serveMultiplex(InputStream requests) throws Exception {
    ExecutorService threads =
        Executors.newCachedThreadPool(
            task -> {
              Thread thread = new Thread(task);
              thread.setDaemon(true);
              return thread;
            });
    WorkerProtocol.WorkRequest request;
    while ((request = WorkerProtocol.readRequest(requests)) != null) {
      if (request.cancel()) {
        running.getOrDefault(request.requestId(), new AtomicBoolean()).set(true);
      } else {
        start(threads, request);
      }
    }
    running.values().forEach(cancelled -> cancelled.set(true));
    threads.shutdown();
    threads.awaitTermination(GRACE_SECONDS, TimeUnit.SECONDS);
  }

  private void start(ExecutorService threads, WorkerProtocol.WorkRequest request) {
    AtomicBoolean cancelled = new AtomicBoolean();
    running.put(request.requestId(), cancelled);
    threads.execute(
        () -> {
          WorkerProtocol.WorkResponse response = answer(request, cancelled);
          // Gone before the answer is out: the client may use the id again as soon as it reads it.
          running.remove(request.requestId());
          try {
            send(response);
          } catch (IOException error) {
            System.err.println("the response found no reader: " + error.getMessage());
          }
        });
  }

  /** Runs one request so that whatever it throws becomes its response. */
  private WorkerProtocol.WorkResponse answer(
      WorkerProtocol.WorkRequest request, AtomicBoolean cancelled) {
    int id = request.requestId();
    try {
      List<String> arguments = new ArrayList<>(startupArguments);
      arguments.addAll(request.arguments());
      Path root = Path.of(request.sandboxDir());
      JarCompiler.Result result = compiler.run(arguments, root, cancelled::get);
      return new WorkerProtocol.WorkResponse(result.exitCode(), result.output(), id, false);
    } catch (JarCompiler.CancelledException stopped) {
      return new WorkerProtocol.WorkResponse(0, "", id, true);
    } catch (Throwable bug) { // an Error too: unanswered requests hang the build (bazel#10288)
      StringWriter trace = new StringWriter();
      bug.printStackTrace(new PrintWriter(trace));
      return new WorkerProtocol.WorkResponse(1, trace.toString(), id, false);
    }
  }

  private synchronized void send(WorkerProtocol.WorkResponse response) throws IOException {
    WorkerProtocol.writeResponse(responses, response);
  }
}
