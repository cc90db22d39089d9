package leaks;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A worker that writes one line, with a memo of a pure function that changes nothing. Its first
 * argument says where it keeps state.
 */
public final class Worker {
  private static final Map<String, String> MEMO = new HashMap<>();
  private static final AtomicInteger REQUESTS = new AtomicInteger();
  private static final List<String> SEEN = new ArrayList<>();
  private static final ThreadLocal<String> LAST = ThreadLocal.withInitial(() -> "nothing");

  private final String kind;
  private String previous = "nothing";

  /** A class that the first request loads. */
  static final class Registry {
    static final Map<String, Integer> COUNTS = new HashMap<>();
  }

  private Worker(String kind) {
    this.kind = kind;
  }

  private String work(String name) {
    switch (kind) {
      case "list":
        SEEN.add(name);
        return String.join(",", SEEN);
      case "instance":
        String before = previous;
        previous = name;
        return before;
      case "thread":
        String last = LAST.get();
        LAST.set(name);
        return last;
      default:
        Registry.COUNTS.merge("all", 1, Integer::sum);
        return Registry.COUNTS.toString();
    }
  }

  private void answer(String line) throws Exception {
    Matcher strings = Pattern.compile("\"arguments\": ?\\[\"([^\"]*)\", ?\"([^\"]*)\"").matcher(line);
    strings.find();
    REQUESTS.incrementAndGet();
    String name = strings.group(1);
    String text = MEMO.computeIfAbsent(name, String::toUpperCase) + " " + work(name) + "\n";
    Files.write(Path.of(strings.group(2)), text.getBytes());
    System.out.println("{\"exitCode\": 0, \"output\": \"\"}");
  }

  public static void main(String[] arguments) throws Exception {
    Worker worker = new Worker(arguments[0]);
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = lines.readLine()) != null; ) {
      worker.answer(line);
    }
  }
}
