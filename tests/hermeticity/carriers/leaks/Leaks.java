package leaks;

import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;

/** One kind of leak in each entry: the answer shows what an earlier request of the kind left. */
public final class Leaks {
  private static final List<String> LIST = new ArrayList<>();
  private static final Map<String, String> MAP = new HashMap<>();
  private static final Map<String, String> CONCURRENT = new ConcurrentHashMap<>();
  private static final Set<String> SET = new TreeSet<>();
  private static final ArrayDeque<String> QUEUE = new ArrayDeque<>();
  private static final StringBuilder BUILDER = new StringBuilder();
  private static final ByteArrayOutputStream BYTES = new ByteArrayOutputStream();
  private static final String[] ARRAY = {""};
  private static final AtomicInteger COUNT = new AtomicInteger();
  private static final AtomicReference<String> REFERENCE = new AtomicReference<>("");
  private static final ThreadLocal<String> LOCAL = ThreadLocal.withInitial(() -> "");
  private static final Options OPTIONS = new Options();
  private static final Map<String, String> RECENT = new Recent();
  private static String header = "";
  private static boolean isVerbose = false;

  private final List<String> notes = new ArrayList<>();
  private String option = "";

  /** Settings inside of an object. */
  static final class Options {
    String level = "";
  }

  /** A cache of the common form. */
  static final class Recent extends LinkedHashMap<String, String> {
    @Override
    protected boolean removeEldestEntry(Map.Entry<String, String> eldest) {
      return size() > 10;
    }
  }

  /** An enum with state. */
  enum Mode {
    FAST;

    String last = "";
  }

  /** A class that the first request of its kind loads. */
  static final class Late {
    static final List<String> NAMES = new ArrayList<>(Arrays.asList("first"));
  }

  /** Another one, without an initializer. */
  static final class Bare {
    static String last;
  }

  private final Map<String, Function<String, String>> kinds = new HashMap<>();

  private Leaks() {
    kinds.put("list", text -> added(LIST, text));
    kinds.put("map", text -> left(String.join(",", MAP.keySet()), () -> MAP.put(text, text)));
    kinds.put("concurrent", text -> left(String.join(",", CONCURRENT.keySet()), () -> CONCURRENT.put(text, text)));
    kinds.put("set", text -> left(String.join(",", SET), () -> SET.add(text)));
    kinds.put("queue", text -> left(String.join(",", QUEUE), () -> QUEUE.add(text)));
    kinds.put("builder", text -> left(BUILDER.toString(), () -> BUILDER.append(text)));
    kinds.put("bytes", text -> left(BYTES.toString(), () -> BYTES.write(text.getBytes(), 0, 3)));
    kinds.put("array", text -> left(ARRAY[0], () -> ARRAY[0] = text));
    kinds.put("count", text -> left(COUNT.get() == 0 ? "" : COUNT.toString(), COUNT::incrementAndGet));
    kinds.put("reference", text -> left(REFERENCE.get(), () -> REFERENCE.set(text)));
    kinds.put("local", text -> left(LOCAL.get(), () -> LOCAL.set(text)));
    kinds.put("nested", text -> left(OPTIONS.level, () -> OPTIONS.level = text));
    kinds.put("recent", text -> left(String.join(",", RECENT.keySet()), () -> RECENT.put(text, text)));
    kinds.put("text", text -> left(header, () -> header = text));
    kinds.put("flag", text -> left(isVerbose ? "verbose" : "", () -> isVerbose = true));
    kinds.put("instance", text -> added(notes, text));
    kinds.put("option", text -> left(option, () -> option = text));
    kinds.put("enum", text -> left(Mode.FAST.last, () -> Mode.FAST.last = text));
    kinds.put("late", text -> added(Late.NAMES, text).replaceFirst("^first,?", ""));
    kinds.put("bare", text -> left(Objects.toString(Bare.last, ""), () -> Bare.last = text));
    kinds.put("property", text -> left(System.getProperty("leak", ""), () -> System.setProperty("leak", text)));
    kinds.put("locale", text -> left(Locale.getDefault().equals(Locale.FRANCE) ? "French" : "", () -> Locale.setDefault(Locale.FRANCE)));
    kinds.put("variables", text -> Objects.toString(System.getenv("RPW_OBSERVER"), "") + Objects.toString(System.getenv("JAVA_TOOL_OPTIONS"), ""));
  }

  private static String left(String before, Runnable change) {
    change.run();
    return before;
  }

  private static String added(List<String> list, String text) {
    String before = String.join(",", list);
    list.add(text);
    return before;
  }

  public static void main(String[] args) throws Exception {
    Leaks leaks = new Leaks();
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = lines.readLine()) != null; ) {
      String[] words = line.split(" ");
      String left = leaks.kinds.get(words[0]).apply(words[1]);
      System.out.println(words[1] + (left.isEmpty() ? "" : " after " + left));
      System.out.flush();
    }
  }
}
