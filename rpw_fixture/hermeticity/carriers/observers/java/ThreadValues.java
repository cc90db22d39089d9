package rpwfixture.observer;

import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.List;

/** The values that threads have for a ThreadLocal; reading them makes none. */
final class ThreadValues {
  /** One thread's value, which can be set. */
  static final class Value {
    /** The value when it was found. */
    final Object marked;

    private final Object entry;

    Value(Object entry) {
      this.entry = entry;
      this.marked = get();
    }

    Object get() {
      return Access.get(entry, entry.getClass(), "value");
    }

    /** Whether this is the same thread's value as another one, perhaps of another time. */
    boolean isSameEntry(Value other) {
      return entry == other.entry;
    }

    /** Lets the thread have no value, so that it begins again with the initial one. */
    String remove() {
      ((Reference<?>) entry).clear();
      return "";
    }

    String set(Object value) {
      try {
        java.lang.reflect.Field field = entry.getClass().getDeclaredField("value");
        field.setAccessible(true);
        field.set(entry, value);
        return "";
      } catch (ReflectiveOperationException | RuntimeException refused) {
        return refused.toString();
      }
    }
  }

  private ThreadValues() {}

  static List<Value> of(ThreadLocal<?> local) {
    List<Value> values = new ArrayList<>();
    for (Thread thread : Thread.getAllStackTraces().keySet()) {
      for (String field : new String[] {"threadLocals", "inheritableThreadLocals"}) {
        Object map = Access.get(thread, Thread.class, field);
        Object table = map == null ? null : Access.get(map, map.getClass(), "table");
        if (table == null && map != null) {
          table = Access.get(map, map.getClass().getSuperclass(), "table");
        }
        if (table instanceof Object[]) {
          addEntries(values, (Object[]) table, local);
        }
      }
    }
    return values;
  }

  private static void addEntries(
      List<Value> values, Object[] table, ThreadLocal<?> local) {
    for (Object entry : table) {
      if (entry instanceof Reference && ((Reference<?>) entry).get() == local) {
        values.add(new Value(entry));
      }
    }
  }
}
