package rpwfixture.observer;

import java.lang.instrument.Instrumentation;
import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/** The state of the tool: remember it, say what changed, put it back. */
final class State {
  private static final long PROCESSOR_TIME = 1_500_000_000L;
  private static final long MOST_TIME = 8_000_000_000L;
  private static final int MOST_CHANGES = 500;
  private static final int LONGEST_NAME = 120;

  /** For the classes that requests initialize, in all. */
  private static final long LATE_NANOSECONDS = 500_000_000L;

  private final Instrumentation instrumentation;
  /** Held while the observer works: a request may initialize a class at any time. */
  private final ReentrantLock lock = new ReentrantLock();
  private final Set<String> known = new HashSet<>();
  private long late;
  private boolean isMarked;
  private final Map<String, Supplier<String>> putBack = new LinkedHashMap<>();

  private List<Roots.Root> roots = new ArrayList<>();
  private Map<String, Map<String, String>> tables = new LinkedHashMap<>();
  private Walk walk = new Walk(new Budget(0, 0));
  private Histogram classes = Histogram.EMPTY;
  private List<Object> changes = new ArrayList<>();

  State(Instrumentation instrumentation) {
    this.instrumentation = instrumentation;
  }

  /** Remembers the state now; growth can be asked for later if it is counted now. */
  Map<String, Object> mark(boolean countsGrowth) {
    lock.lock();
    try {
      Births.onInitialized(null);
      classes = countsGrowth ? Histogram.now() : Histogram.EMPTY;
      walk = new Walk(new Budget(PROCESSOR_TIME, MOST_TIME));
      known.clear();
      roots = new ArrayList<>();
      Roots.staticFields(instrumentation).forEach(this::remember);
      Roots.settings().forEach(this::remember);
      tables = Roots.tables(); // after the time zone was read, which sets a property
      for (Object each : Births.live()) {
        walk.add(each, "instance field", each.getClass().getName(), each.getClass(), "");
      }
      walk.run();
      late = LATE_NANOSECONDS;
      isMarked = true;
      Births.onInitialized(this::rememberLate);
    } finally {
      lock.unlock();
    }
    return Json.object(
        "ok", true, "seen", walk.found.size(), "is_cut", !walk.reason.isEmpty(), "reason", walk.reason);
  }

  private void remember(Roots.Root root) {
    root.marked = root.read();
    roots.add(root);
    known.add(root.name);
    walk.add(root.marked, root.kind, root.name, root.owner(), lastPart(root.name));
  }

  /** Remembers a class that a request has initialized, as it is before anything else uses it. */
  private void rememberLate(Class<?> type) {
    if (!lock.tryLock()) {
      return; // the observer itself made the JVM initialize it
    }
    try {
      if (late > 0) {
        Budget budget = new Budget(late, MOST_TIME);
        walk.extend(budget);
        Roots.staticFields(type).forEach(this::remember);
        walk.run();
        late -= budget.used();
      }
    } finally {
      lock.unlock();
    }
  }

  /** Adds the classes without an initializer that were loaded since: their fields were empty. */
  private void addEmpty() {
    if (!isMarked) {
      return;
    }
    for (Roots.StaticField each : Roots.staticFields(instrumentation)) {
      if (!known.contains(each.name) && !each.isFinal()) {
        each.marked = each.initial();
        roots.add(each);
        known.add(each.name);
      }
    }
  }

  Map<String, Object> changes() {
    Budget budget = new Budget(PROCESSOR_TIME, MOST_TIME);
    int looks = 0;
    changes = new ArrayList<>();
    putBack.clear();
    addEmpty();
    roots.forEach(this::compareRoot);
    compareTables();
    String reason = "";
    for (Found each : walk.found) {
      if ((++looks % 64 == 0 && budget.isSpent()) || changes.size() >= MOST_CHANGES) {
        reason = changes.size() < MOST_CHANGES ? "comparing took too long" : "more than 500 changes";
        break;
      }
      compareObject(each);
    }
    return Json.object("changes", changes, "is_cut", !reason.isEmpty(), "reason", reason);
  }

  Map<String, Object> restore(List<?> ids) {
    List<Object> restored = new ArrayList<>();
    Map<String, Object> failed = new LinkedHashMap<>();
    for (Object each : ids) {
      String id = String.valueOf(each);
      String reason = putBack.containsKey(id) ? attempt(putBack.get(id)) : "no such change";
      if (reason.isEmpty()) {
        restored.add(id);
      } else {
        failed.put(id, reason);
      }
    }
    return Json.object("restored", restored, "failed", failed);
  }

  private static String attempt(Supplier<String> action) {
    try {
      return action.get();
    } catch (RuntimeException | LinkageError refused) {
      return refused.toString();
    }
  }

  Map<String, Object> growth() {
    List<Object> growing = new ArrayList<>();
    for (Roots.Root each : roots) {
      Object now = each.read();
      if (each.marked instanceof String && now instanceof String) {
        addGrowth(growing, each.kind, each.name, each.place(), ((String) each.marked).length(), ((String) now).length(), "characters");
      }
    }
    for (Found each : walk.found) {
      Copy now = attemptCopy(each.object);
      if (now != null) {
        addGrowth(growing, each.kind, each.name, each.place(), each.copy.size, now.size, now.unit());
      }
      addGrownTexts(growing, each);
    }
    growing.addAll(classes.growth(Histogram.now()));
    return Json.object("growing", growing);
  }

  private static void addGrownTexts(List<Object> growing, Found each) {
    Object[] now = each.read();
    for (int at = 0; at < now.length; at++) {
      if (each.values[at] instanceof String && now[at] instanceof String) {
        Field field = each.fields.get(at);
        String place = Places.of(field.getDeclaringClass(), field.getName());
        int before = ((String) each.values[at]).length();
        addGrowth(growing, each.kind, each.name + "." + field.getName(), place, before, ((String) now[at]).length(), "characters");
      }
    }
  }

  private static void addGrowth(
      List<Object> growing, String kind, String name, String place, int before, int after, String unit) {
    if (after > before) {
      growing.add(Json.object("kind", kind, "name", name, "place", place, "before", before, "after", after, "unit", unit));
    }
  }

  private static Copy attemptCopy(Object object) {
    try {
      return Copy.of(object);
    } catch (RuntimeException changing) {
      return null;
    }
  }

  private void compareRoot(Roots.Root root) {
    Object now = root.read();
    if (!Values.isSame(root.marked, now)) {
      boolean isFixed = root instanceof Roots.StaticField && ((Roots.StaticField) root).isFinal();
      add(root.kind, root.name, root.place(), Short.value(root.marked), Short.value(now), !isFixed,
          () -> root.write(root.marked));
    }
  }

  private void compareTables() {
    Map<String, Map<String, String>> now = Roots.tables();
    for (String table : tables.keySet()) {
      Set<String> names = new LinkedHashSet<>(tables.get(table).keySet());
      names.addAll(now.get(table).keySet());
      for (String name : names) {
        String before = tables.get(table).get(name);
        String after = now.get(table).get(name);
        if (!Values.isSame(before, after)) {
          add(table, name, "", shown(before), shown(after), true,
              () -> Roots.setInTable(table, name, before));
        }
      }
    }
  }

  private static String shown(String value) {
    return value == null ? "(absent)" : Short.value(value);
  }

  private void compareObject(Found each) {
    Copy now = attemptCopy(each.object);
    if (now != null && !each.copy.isSame(now)) {
      String before = each.copy.kind == Copy.Kind.BYTES ? each.copy.size + " elements" : Short.content(each.copy);
      String after = each.copy.kind == Copy.Kind.BYTES ? "other values" : Short.content(now);
      add(each.kind, each.name, each.place(), before, after, true, () -> each.copy.putBack(each.object));
    }
    compareThreads(each);
    Object[] values = each.read();
    for (int at = 0; at < values.length; at++) {
      if (!Values.isSame(each.values[at], values[at])) {
        addField(each, each.fields.get(at), each.values[at], values[at]);
      }
    }
  }

  private void addField(Found each, Field field, Object before, Object after) {
    String place = Places.of(field.getDeclaringClass(), field.getName());
    add(each.kind, each.name + "." + field.getName(), place, Short.value(before), Short.value(after), true,
        () -> Fields.set(field, each.object, before));
  }

  private void compareThreads(Found each) {
    for (ThreadValues.Value now : each.readThreads()) {
      ThreadValues.Value before = null;
      for (ThreadValues.Value known : each.ofThreads) {
        before = known.isSameEntry(now) ? known : before;
      }
      String name = each.name + ".get()";
      if (before == null) {
        add(each.kind, name, each.place(), "(absent)", Short.value(now.marked), true, now::remove);
      } else if (!Values.isSame(before.marked, now.marked)) {
        Object marked = before.marked;
        add(each.kind, name, each.place(), Short.value(marked), Short.value(now.marked), true,
            () -> now.set(marked));
      }
    }
  }

  private void add(
      String kind, String name, String place, String before, String after, boolean canRestore,
      Supplier<String> restore) {
    String base = kind + "|" + name;
    String id = base;
    for (int number = 2; putBack.containsKey(id); number++) {
      id = base + "#" + number;
    }
    putBack.put(id, restore);
    changes.add(
        Json.object(
            "id", id, "kind", kind, "name", Short.cut(name, LONGEST_NAME), "place", place,
            "before", before, "after", after, "can_restore", canRestore));
  }

  private static String lastPart(String name) {
    return name.substring(name.lastIndexOf('.') + 1);
  }
}
