package rpwfixture.observer;

import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import javax.management.ObjectName;

/** Numbers of live objects by class, as {@code jcmd GC.class_histogram} shows them. */
final class Histogram {
  static final Histogram EMPTY = new Histogram(new HashMap<>());

  private static final int MOST = 20;
  private static final long NOISE = 5000;

  private final Map<String, Long> counts;

  private Histogram(Map<String, Long> counts) {
    this.counts = counts;
  }

  /** Counts now; empty where the JVM has no such command. */
  static Histogram now() {
    Map<String, Long> counts = new HashMap<>();
    try {
      ObjectName name = new ObjectName("com.sun.management:type=DiagnosticCommand");
      Object text =
          ManagementFactory.getPlatformMBeanServer()
              .invoke(name, "gcClassHistogram", new Object[] {null}, new String[] {"[Ljava.lang.String;"});
      for (String line : String.valueOf(text).split("\n")) {
        String[] words = line.trim().split("\\s+"); // number, instances, bytes, class, perhaps a module
        if (words.length >= 4 && words[0].endsWith(":")) {
          counts.put(words[3], Long.parseLong(words[1]));
        }
      }
    } catch (Exception absent) {
      // other JVMs
    }
    return new Histogram(counts);
  }

  /**
   * Classes with more objects than before, the largest growth first. Classes of the JDK count only
   * where they grew by more than the observer itself needs.
   */
  List<Object> growth(Histogram now) {
    List<String> grown = new ArrayList<>();
    for (Map.Entry<String, Long> each : now.counts.entrySet()) {
      boolean isOurs = each.getKey().startsWith("rpwfixture.");
      long least = isOfJdk(each.getKey()) ? NOISE : 1;
      if (!isOurs && each.getValue() >= before(each.getKey()) + least) {
        grown.add(each.getKey());
      }
    }
    grown.sort((one, other) -> Long.compare(difference(now, other), difference(now, one)));
    List<Object> shown = new ArrayList<>();
    for (String each : counts.isEmpty() ? new ArrayList<String>() : grown.subList(0, Math.min(MOST, grown.size()))) {
      shown.add(
          Json.object(
              "kind", "class", "name", each, "place", "", "before", before(each),
              "after", now.counts.get(each), "unit", "instances"));
    }
    return shown;
  }

  private static boolean isOfJdk(String name) {
    return name.startsWith("[") || name.matches("(java|javax|jdk|sun|com\\.sun)\\..*");
  }

  private long difference(Histogram now, String name) {
    return now.counts.get(name) - before(name);
  }

  private long before(String name) {
    return counts.getOrDefault(name, 0L);
  }
}
