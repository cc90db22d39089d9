package rpwfixture.observer;

import java.lang.instrument.Instrumentation;
import java.lang.reflect.AccessibleObject;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/** Opens what the observer reads: packages of the JDK, private fields, the copy of the environment. */
final class Access {
  private static final String[] PACKAGES = {
    "java.lang", "java.util", "java.lang.ref", "java.util.concurrent.atomic", "jdk.internal.misc",
    "jdk.internal.org.objectweb.asm",
  };

  private static Method shouldBeInitialized;
  private static Object unsafe;
  private static Instrumentation instrumentation;

  private Access() {}

  /** Opens the JDK's packages to the observer; on Java 8 they are open. */
  static void open(Instrumentation given) throws ReflectiveOperationException {
    instrumentation = given;
    try {
      openModule(moduleOf(Object.class), PACKAGES);
    } catch (NoSuchMethodException isJava8) {
      // nothing to open
    }
    findUnsafe();
  }

  private static Object moduleOf(Class<?> each) throws ReflectiveOperationException {
    return Class.class.getMethod("getModule").invoke(each);
  }

  private static void openModule(Object module, String... packages) throws ReflectiveOperationException {
    Class<?> type = Class.forName("java.lang.Module");
    Set<?> present = (Set<?>) type.getMethod("getPackages").invoke(module);
    Map<String, Set<?>> opened = new HashMap<>();
    for (String each : packages) {
      if (present.contains(each)) {
        opened.put(each, Collections.singleton(moduleOf(Access.class)));
      }
    }
    Method redefine =
        Instrumentation.class.getMethod(
            "redefineModule", type, Set.class, Map.class, Map.class, Set.class, Map.class);
    redefine.invoke(
        instrumentation, module, Collections.emptySet(), opened, opened,
        Collections.emptySet(), Collections.emptyMap());
  }

  private static void findUnsafe() {
    for (String name : new String[] {"jdk.internal.misc.Unsafe", "sun.misc.Unsafe"}) {
      try {
        Class<?> type = Class.forName(name);
        Field field = type.getDeclaredField("theUnsafe");
        field.setAccessible(true);
        unsafe = field.get(null);
        shouldBeInitialized = type.getMethod("shouldBeInitialized", Class.class);
        return;
      } catch (ReflectiveOperationException | RuntimeException next) {
        unsafe = null;
      }
    }
  }

  /** Whether reading a static field runs no code of the class: its initializer has run. */
  static boolean isInitialized(Class<?> each) {
    try {
      return unsafe != null && !(Boolean) shouldBeInitialized.invoke(unsafe, each);
    } catch (ReflectiveOperationException | RuntimeException unknown) {
      return false;
    }
  }

  /** Makes a field readable; false where the JVM refuses. */
  static boolean isAccessible(AccessibleObject field, Class<?> owner) {
    try {
      field.setAccessible(true);
      return true;
    } catch (RuntimeException closed) {
      try {
        String name = owner.getName();
        openModule(moduleOf(owner), name.substring(0, Math.max(0, name.lastIndexOf('.'))));
        field.setAccessible(true);
        return true;
      } catch (ReflectiveOperationException | RuntimeException refused) {
        return false;
      }
    }
  }

  /** Returns a field's value; null where it cannot be read. */
  static Object get(Object owner, Class<?> type, String name) {
    try {
      Field field = type.getDeclaredField(name);
      return isAccessible(field, type) ? field.get(owner) : null;
    } catch (ReflectiveOperationException | RuntimeException absent) {
      return null;
    }
  }

  /**
   * Removes what loaded the observer from the JVM's copy of the environment, which the tool reads
   * and its children inherit.
   */
  static void forget(String variable) {
    String agent = "-javaagent:" + jar();
    Map<String, String> environment = environment();
    if (environment == null) {
      return;
    }
    environment.remove(variable);
    String options = environment.get("JAVA_TOOL_OPTIONS");
    if (options != null) {
      String left = options.replace('"' + agent + '"', "").replace(agent, "").trim();
      if (left.isEmpty()) {
        environment.remove("JAVA_TOOL_OPTIONS");
      } else {
        environment.put("JAVA_TOOL_OPTIONS", left);
      }
    }
  }

  private static String jar() {
    String path = Access.class.getProtectionDomain().getCodeSource().getLocation().getPath();
    return new java.io.File(path).getPath();
  }

  /** The JVM's copy of the environment by text, which can be changed; null where it is out of reach. */
  @SuppressWarnings("unchecked")
  static Map<String, String> environment() {
    try {
      Class<?> type = Class.forName("java.lang.ProcessEnvironment");
      Object map = get(null, type, "theEnvironment");
      Class<?> view = Class.forName("java.lang.ProcessEnvironment$StringEnvironment");
      java.lang.reflect.Constructor<?> made = view.getDeclaredConstructor(Map.class);
      made.setAccessible(true);
      return (Map<String, String>) made.newInstance(map);
    } catch (ReflectiveOperationException | RuntimeException other) {
      return null;
    }
  }
}
