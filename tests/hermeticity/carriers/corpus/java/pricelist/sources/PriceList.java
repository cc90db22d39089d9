import java.io.BufferedInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;

/** Writes price lists: {@code [--language TAG] SOURCE OUTPUT}. */
public final class PriceList {
  private final List<String> lines;

  private PriceList(List<String> lines) {
    this.lines = lines;
  }

  /** Numbers and headings as people write them where the list is for. */
  List<String> render() {
    List<String> result = new ArrayList<>();
    for (String line : lines) {
      int tab = line.indexOf('\t');
      if (tab < 0) {
        result.add(line.toUpperCase());
      } else {
        double price = Double.parseDouble(line.substring(tab + 1));
        result.add(String.format("%-10s%,12.2f", line.substring(0, tab), price));
      }
    }
    return result;
  }

  private static void run(List<String> arguments) throws IOException {
    List<String> files = new ArrayList<>();
    for (Iterator<String> words = arguments.iterator(); words.hasNext(); ) {
      String word = words.next();
      if (word.equals("--language")) {
        Locale.setDefault(Locale.forLanguageTag(words.next()));
      } else {
        files.add(word);
      }
    }
    PriceList list = new PriceList(Files.readAllLines(Path.of(files.get(0))));
    Files.write(Path.of(files.get(1)), list.render());
  }

  private static WorkerProtocol.WorkResponse answer(int id, List<String> arguments) {
    try {
      run(arguments);
    } catch (Exception error) {
      return new WorkerProtocol.WorkResponse(1, "pricelist: " + error + "\n", id, false);
    }
    return new WorkerProtocol.WorkResponse(0, "", id, false);
  }

  public static void main(String[] args) throws IOException {
    Locale.setDefault(Locale.US); // whatever the machine has
    if (args.length > 0 && args[0].equals("--persistent_worker")) {
      BufferedInputStream requests = new BufferedInputStream(System.in);
      while (true) {
        WorkerProtocol.WorkRequest request = WorkerProtocol.readRequest(requests);
        if (request == null) {
          return;
        }
        WorkerProtocol.writeResponse(System.out, answer(request.requestId(), request.arguments()));
      }
    }
    boolean isFlagfile = args.length == 1 && args[0].startsWith("@");
    var response =
        answer(0, isFlagfile ? Files.readAllLines(Path.of(args[0].substring(1))) : List.of(args));
    System.err.print(response.output());
    System.exit(response.exitCode());
  }
}
