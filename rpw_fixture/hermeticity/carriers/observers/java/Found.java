package rpwfixture.observer;

import java.lang.reflect.Field;
import java.util.List;

/** One object that the tool's fields reach, and what it held at the mark. */
final class Found {
  final Object object;
  final String kind;
  final String name;
  /** The class and field from which it was reached. */
  final Class<?> owner;
  final String field;

  final Copy copy;
  final List<Field> fields;
  final Object[] values;
  /** The values of threads, if the object is a ThreadLocal. */
  final List<ThreadValues.Value> ofThreads;

  Found(Object object, String kind, String name, Class<?> owner, String field) {
    this.object = object;
    this.kind = kind;
    this.name = name;
    this.owner = owner;
    this.field = field;
    this.copy = Copy.of(object);
    this.fields = Fields.ofObject(object.getClass());
    this.values = read();
    this.ofThreads = readThreads();
  }

  /** The values of threads now. */
  List<ThreadValues.Value> readThreads() {
    boolean isLocal = object instanceof ThreadLocal;
    return isLocal ? ThreadValues.of((ThreadLocal<?>) object) : java.util.Collections.emptyList();
  }

  /** The fields' values now. */
  Object[] read() {
    Object[] now = new Object[fields.size()];
    for (int at = 0; at < now.length; at++) {
      now[at] = Fields.get(fields.get(at), object);
    }
    return now;
  }

  String place() {
    return owner == null ? "" : Places.of(owner, field);
  }
}
