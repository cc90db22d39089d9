package rpwfixture.observer;

import java.lang.instrument.Instrumentation;
import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.TimeZone;
import java.util.function.Consumer;
import java.util.function.Supplier;

/** Where the search starts: static fields of the tool, and settings of the JVM. */
final class Roots {
  private static final int MOST_CLASSES = 20_000;

  /** Something with one value. */
  abstract static class Root {
    final String kind;
    final String name;
    Object marked;

    Root(String kind, String name) {
      this.kind = kind;
      this.name = name;
    }

    abstract Object read();

    /** Sets the value; returns the reason for a failure, or "". */
    abstract String write(Object value);

    String place() {
      return "";
    }

    Class<?> owner() {
      return null;
    }
  }

  /** A static field. */
  static final class StaticField extends Root {
    private final Field field;

    StaticField(Field field) {
      super("static field", field.getDeclaringClass().getName() + "." + field.getName());
      this.field = field;
    }

    @Override
    Object read() {
      return Fields.get(field, null);
    }

    @Override
    String write(Object value) {
      return Fields.set(field, null, value);
    }

    @Override
    String place() {
      return Places.of(field.getDeclaringClass(), field.getName());
    }

    /** The value before the class's initializer: null, zero or false. */
    Object initial() {
      Object array = java.lang.reflect.Array.newInstance(field.getType(), 1);
      return java.lang.reflect.Array.get(array, 0);
    }

    boolean isFinal() {
      return java.lang.reflect.Modifier.isFinal(field.getModifiers());
    }

    @Override
    Class<?> owner() {
      return field.getDeclaringClass();
    }
  }

  /** A setting of the JVM. */
  static final class Setting extends Root {
    private final Supplier<Object> reader;
    private final Consumer<Object> writer;

    Setting(String kind, String name, Supplier<Object> reader, Consumer<Object> writer) {
      super(kind, name);
      this.reader = reader;
      this.writer = writer;
    }

    @Override
    Object read() {
      return reader.get();
    }

    @Override
    String write(Object value) {
      try {
        writer.accept(value);
        return "";
      } catch (RuntimeException refused) {
        return refused.toString();
      }
    }
  }

  private Roots() {}

  /** The static fields of all classes of the tool that are initialized. */
  static List<StaticField> staticFields(Instrumentation instrumentation) {
    List<StaticField> roots = new ArrayList<>();
    int classes = 0;
    for (Class<?> each : instrumentation.getAllLoadedClasses()) {
      if (isOfTool(each) && Access.isInitialized(each) && classes++ < MOST_CLASSES) {
        roots.addAll(staticFields(each));
      }
    }
    // The order of loading differs from run to run; names keep the ids the same.
    roots.sort(java.util.Comparator.comparing(root -> root.name));
    return roots;
  }

  static List<StaticField> staticFields(Class<?> type) {
    List<StaticField> roots = new ArrayList<>();
    for (Field field : Fields.declared(type, true)) {
      roots.add(new StaticField(field));
    }
    return roots;
  }

  private static boolean isOfTool(Class<?> each) {
    try {
      boolean isReal = !each.isArray() && !each.isPrimitive() && !Values.isOfJdk(each);
      return isReal && Births.isOfTool(each.getClassLoader(), each.getProtectionDomain().getCodeSource());
    } catch (LinkageError | RuntimeException unknown) {
      return false;
    }
  }

  static List<Root> settings() {
    List<Root> roots = new ArrayList<>();
    roots.add(new Setting("global", "Locale.getDefault()", Locale::getDefault, to -> Locale.setDefault((Locale) to)));
    roots.add(new Setting("global", "TimeZone.getDefault()", () -> TimeZone.getDefault().getID(),
        to -> TimeZone.setDefault(TimeZone.getTimeZone((String) to))));
    roots.add(new Setting("global", "System.out", () -> System.out, to -> System.setOut((java.io.PrintStream) to)));
    roots.add(new Setting("global", "System.err", () -> System.err, to -> System.setErr((java.io.PrintStream) to)));
    roots.add(new Setting("global", "System.in", () -> System.in, to -> System.setIn((java.io.InputStream) to)));
    return roots;
  }

  /** Settings by name: system properties and the JVM's copy of the environment. */
  static Map<String, Map<String, String>> tables() {
    Map<String, Map<String, String>> tables = new LinkedHashMap<>();
    Map<String, String> properties = new LinkedHashMap<>();
    Properties all = System.getProperties();
    for (String name : all.stringPropertyNames()) {
      properties.put(name, all.getProperty(name));
    }
    tables.put("system property", properties);
    Map<String, String> environment = Access.environment();
    tables.put("environment", environment == null ? new LinkedHashMap<>() : new LinkedHashMap<>(environment));
    return tables;
  }

  static String setInTable(String table, String name, String value) {
    if (table.equals("system property")) {
      if (value == null) {
        System.clearProperty(name);
      } else {
        System.setProperty(name, value);
      }
      return "";
    }
    Map<String, String> environment = Access.environment();
    if (environment == null) {
      return "the environment cannot be changed";
    }
    if (value == null) {
      environment.remove(name);
    } else {
      environment.put(name, value);
    }
    return "";
  }
}
