package rpwfixture.observer;

import java.io.FilterOutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.ref.Reference;
import java.lang.reflect.Field;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;

/** A breadth-first walk over the objects that the tool's fields reach. */
final class Walk {
  private static final int MOST_OBJECTS = 200_000;
  private static final int MOST_VALUES = 2_000_000;
  private static final int LONGEST_NAME = 200;
  private static final int LOOK_EVERY = 64;

  final List<Found> found = new ArrayList<>();
  String reason = "";

  private final Set<Object> seen = Collections.newSetFromMap(new IdentityHashMap<>());
  private final ArrayDeque<Runnable> queue = new ArrayDeque<>();
  private Budget budget;
  private int looks;
  private int values;

  Walk(Budget budget) {
    this.budget = budget;
  }

  /** Adds an object, to be looked at with those that it reaches. */
  void add(Object object, String kind, String name, Class<?> owner, String field) {
    if (object == null || isOpaque(object) || !seen.add(object)) {
      return;
    }
    String shown = Short.cut(name, LONGEST_NAME);
    queue.add(() -> visit(object, kind, shown, owner, field));
  }

  void run() {
    while (!queue.isEmpty() && reason.isEmpty()) {
      queue.remove().run();
      if (found.size() >= MOST_OBJECTS) {
        reason = "more than " + MOST_OBJECTS + " objects";
      } else if (values >= MOST_VALUES) {
        reason = "more than " + MOST_VALUES + " values";
      } else if (++looks % LOOK_EVERY == 0 && budget.isSpent()) {
        reason = "looking took too long";
      }
    }
    queue.clear();
  }

  /** Lets the walk go on with another budget. */
  void extend(Budget more) {
    budget = more;
  }

  private static boolean isOpaque(Object object) {
    return Values.isPlain(object)
        || object instanceof Class
        || object instanceof ClassLoader
        || object instanceof Thread
        || object.getClass().getName().startsWith("rpwfixture.observer.");
  }

  private void visit(Object object, String kind, String name, Class<?> owner, String field) {
    Found each;
    try {
      each = new Found(object, kind, name, owner, field);
    } catch (RuntimeException changing) { // another thread changes it
      reason = "a thread changed " + name + " while it was copied";
      return;
    }
    found.add(each);
    values += each.copy.content.length + each.values.length;
    addContent(each);
    for (int at = 0; at < each.values.length; at++) {
      Field next = each.fields.get(at);
      String step = name + "." + next.getName();
      add(each.values[at], kind, step, next.getDeclaringClass(), next.getName());
    }
    addInner(each);
  }

  private void addContent(Found each) {
    Object[] content = each.copy.content;
    switch (each.copy.kind) {
      case MAP:
        for (int at = 0; at < content.length; at += 2) {
          String key = Short.item(content[at]);
          below(each, content[at + 1], ".get(" + key + ")");
          below(each, content[at], ".key(" + key + ")");
        }
        break;
      case VALUE:
        below(each, content[0], ".get()");
        break;
      case ARRAY:
      case COLLECTION:
        for (int at = 0; at < content.length; at++) {
          below(each, content[at], "[" + at + "]");
        }
        break;
      default:
    }
  }

  private void below(Found each, Object object, String step) {
    add(object, each.kind, each.name + step, each.owner, each.field);
  }

  /** Follows objects of the JDK that are no containers, but hold state of the tool. */
  private void addInner(Found each) {
    Object object = each.object;
    if (object instanceof Reference) {
      below(each, ((Reference<?>) object).get(), ".get()");
    } else if (object instanceof StringWriter) {
      below(each, ((StringWriter) object).getBuffer(), ".getBuffer()");
    } else if (object instanceof FilterOutputStream) {
      below(each, Access.get(object, FilterOutputStream.class, "out"), ".out");
    } else if (object instanceof PrintWriter) {
      below(each, Access.get(object, PrintWriter.class, "out"), ".out");
    } else if (object instanceof Random) {
      below(each, Access.get(object, Random.class, "seed"), ".seed");
    } else if (object instanceof AtomicReference) {
      below(each, ((AtomicReference<?>) object).get(), ".get()");
    }
    for (ThreadValues.Value value : each.ofThreads) {
      below(each, value.marked, ".get()");
    }
  }
}
