import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Turns instructions into numbers: {@code SOURCE OUTPUT}. */
public final class Opcodes {
  private final ProgramCache programs = new ProgramCache();
  private int requests;
  private long bytes;

  private int run(List<String> arguments, StringBuilder messages) {
    requests++;
    try {
      String text = Files.readString(Path.of(arguments.get(0)));
      bytes += text.length();
      Files.write(Path.of(arguments.get(1)), programs.translate(text));
      return 0;
    } catch (IOException | IllegalArgumentException error) {
      messages.append("opcodes: ").append(error.getMessage()).append('\n');
      return 1;
    }
  }

  @Override
  public String toString() {
    return requests + " requests with " + bytes + " characters";
  }

  public static void main(String[] args) throws IOException {
    Opcodes tool = new Opcodes();
    List<String> startup = new ArrayList<>(List.of(args));
    StringBuilder messages = new StringBuilder();
    if (!startup.remove("--persistent_worker")) {
      List<String> arguments =
          args[0].startsWith("@") ? Files.readAllLines(Path.of(args[0].substring(1))) : startup;
      int status = tool.run(arguments, messages);
      System.err.print(messages);
      System.exit(status);
    }
    WorkerProtocol.WorkRequest request;
    while ((request = WorkerProtocol.readRequest(System.in)) != null) {
      messages.setLength(0);
      int status = tool.run(request.arguments(), messages);
      WorkerProtocol.writeResponse(
          System.out,
          new WorkerProtocol.WorkResponse(status, messages.toString(), request.requestId(), false));
    }
  }
}
