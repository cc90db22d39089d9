import java.io.BufferedInputStream;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;

/**
 * Merges files of properties into a sorted one; later files win. A persistent worker.
 *
 * <p>Arguments: {@code --out FILE}, then the inputs. Nothing is remembered from one request to the next.
 */
public final class Merge {
  private Merge() {}

  public static void main(String[] arguments) throws IOException {
    if (List.of(arguments).contains("--persistent_worker")) {
      OutputStream responses = new FileOutputStream(FileDescriptor.out);
      System.setOut(System.err); // stdout belongs to the responses
      InputStream requests = new BufferedInputStream(new FileInputStream(FileDescriptor.in));
      WorkerLoop.serve(requests, responses, Merge::merge);
      return;
    }
    String flagfile = arguments[arguments.length - 1].substring(1);
    String error = WorkerLoop.answer(Merge::merge, Files.readAllLines(Path.of(flagfile)));
    System.err.print(error);
    System.exit(error.isEmpty() ? 0 : 1);
  }

  private static void merge(List<String> arguments) throws IOException {
    if (arguments.size() < 3 || !arguments.get(0).equals("--out")) {
      throw new IOException("usage: --out FILE INPUT...");
    }
    Map<String, String> merged = new TreeMap<>();
    for (String input : arguments.subList(2, arguments.size())) {
      Properties properties = new Properties();
      try (Reader reader = Files.newBufferedReader(Path.of(input))) {
        properties.load(reader);
      }
      properties.forEach((name, value) -> merged.put((String) name, (String) value));
    }
    StringBuilder text = new StringBuilder();
    merged.forEach((name, value) -> text.append(name).append('=').append(value).append('\n'));
    Files.writeString(Path.of(arguments.get(1)), text);
  }
}
