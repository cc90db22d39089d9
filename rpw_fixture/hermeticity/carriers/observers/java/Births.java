package rpwfixture.observer;

import java.lang.instrument.ClassFileTransformer;
import java.lang.instrument.Instrumentation;
import java.lang.ref.WeakReference;
import java.security.CodeSource;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * Remembers the first objects of each class of the tool, weakly: the object that answers requests is
 * often held by a thread's stack alone, and no static field leads to it.
 */
public final class Births {
  private static final int KEPT = 16;
  private static final int TIDY_EVERY = 64;

  private static final List<Bucket> BUCKETS = new ArrayList<>();
  private static final ClassValue<Bucket> BY_CLASS =
      new ClassValue<Bucket>() {
        @Override
        protected Bucket computeValue(Class<?> type) {
          Bucket bucket = new Bucket();
          synchronized (BUCKETS) {
            BUCKETS.add(bucket);
          }
          return bucket;
        }
      };

  /** The first live objects of one class. */
  private static final class Bucket {
    private final List<WeakReference<Object>> kept = new ArrayList<>(2);
    private int births;

    void add(Object born) {
      births++;
      if (kept.size() >= KEPT && births % TIDY_EVERY != 0) {
        return;
      }
      synchronized (this) {
        if (kept.size() >= KEPT) {
          kept.removeIf(each -> each.get() == null);
        }
        int size = kept.size();
        if (size < KEPT && (size == 0 || kept.get(size - 1).get() != born)) {
          kept.add(new WeakReference<>(born));
        }
      }
    }

    synchronized void copyTo(List<Object> all) {
      for (WeakReference<Object> each : kept) {
        Object object = each.get();
        if (object != null) {
          all.add(object);
        }
      }
    }
  }

  private static volatile Consumer<Class<?>> onInitialized;

  private Births() {}

  /** Registers the transformer; without the JDK's own bytecode library there are no births. */
  static void install(Instrumentation instrumentation) {
    try {
      Class<?> type = Class.forName("rpwfixture.observer.BirthTransformer");
      instrumentation.addTransformer(
          (ClassFileTransformer) type.getDeclaredConstructor().newInstance());
    } catch (ReflectiveOperationException | LinkageError absent) {
      // Static fields are seen all the same.
    }
  }

  /** Called at the end of each constructor of the tool. */
  public static void born(Object object) {
    try {
      BY_CLASS.get(object.getClass()).add(object);
    } catch (Throwable error) {
      // never into the tool
    }
  }

  /** Called at the end of each class initializer of the tool. */
  public static void initialized(Class<?> type) {
    Consumer<Class<?>> action = onInitialized;
    try {
      if (action != null) {
        action.accept(type);
      }
    } catch (Throwable error) {
      // never into the tool
    }
  }

  /** Calls an action with each class of the tool that is initialized from now on. */
  static void onInitialized(Consumer<Class<?>> action) {
    onInitialized = action;
  }

  static List<Object> live() {
    List<Object> all = new ArrayList<>();
    List<Bucket> buckets;
    synchronized (BUCKETS) {
      buckets = new ArrayList<>(BUCKETS);
    }
    for (Bucket each : buckets) {
      each.copyTo(all);
    }
    return all;
  }

  /** Whether a class comes from the tool: it was loaded from a file that is not the observer's. */
  static boolean isOfTool(ClassLoader loader, CodeSource source) {
    if (loader == null || source == null || source.getLocation() == null) {
      return false;
    }
    CodeSource ours = Births.class.getProtectionDomain().getCodeSource();
    return !source.getLocation().equals(ours.getLocation());
  }

  /** Whether classes of a loader can call this class. */
  static boolean isBelowOurs(ClassLoader loader) {
    for (ClassLoader each = loader; each != null; each = each.getParent()) {
      if (each == Births.class.getClassLoader()) {
        return true;
      }
    }
    return false;
  }
}
