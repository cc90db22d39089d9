package rpwfixture.observer;

import java.lang.instrument.Instrumentation;
import java.lang.management.ManagementFactory;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Observes the state of a JVM worker for the search for carriers.
 *
 * <p>Loaded with {@code JAVA_TOOL_OPTIONS=-javaagent:FILE.jar} before the tool. It connects to the
 * socket in {@code RPW_OBSERVER} and answers one JSON line for each JSON line: mark, changes,
 * restore, growth. It never writes to stdout or stderr, never throws into the tool, and does not
 * keep the process from ending.
 */
public final class Observer {
  private static final String VARIABLE = "RPW_OBSERVER";

  private final State state;

  private Observer(State state) {
    this.state = state;
  }

  /** Starts before the tool's main method. */
  public static void premain(String arguments, Instrumentation instrumentation) {
    String address = System.getenv(VARIABLE);
    if (address == null) {
      return;
    }
    try {
      Access.open(instrumentation);
      Access.forget(VARIABLE);
      Births.install(instrumentation);
      Channel channel = Channel.connect(address);
      Observer observer = new Observer(new State(instrumentation));
      Thread thread = new Thread(() -> observer.serve(channel), "rpw_fixture observer");
      thread.setDaemon(true);
      thread.start();
    } catch (Throwable error) {
      // The tool runs as without the observer; the check hears that nobody connected.
    }
  }

  private void serve(Channel channel) {
    try {
      channel.send(greeting());
      String line;
      while ((line = channel.receive()) != null) {
        channel.send(safely(line));
      }
    } catch (Throwable error) {
      // The check has gone.
    }
  }

  private static Map<String, Object> greeting() {
    Map<String, Object> greeting = new LinkedHashMap<>();
    greeting.put("runtime", "jvm");
    String name = ManagementFactory.getRuntimeMXBean().getName();
    greeting.put("pid", Long.parseLong(name.substring(0, name.indexOf('@'))));
    greeting.put("version", System.getProperty("java.version"));
    return greeting;
  }

  private Map<String, Object> safely(String line) {
    try {
      return answer(Json.parse(line));
    } catch (Throwable error) {
      return Json.object("error", "the observer failed: " + describe(error));
    }
  }

  private static String describe(Throwable error) {
    StackTraceElement[] trace = error.getStackTrace();
    return error + (trace.length > 0 ? " at " + trace[0] : "");
  }

  private Map<String, Object> answer(Map<String, Object> message) {
    String command = String.valueOf(message.get("do"));
    switch (command) {
      case "mark":
        return state.mark("true".equals(String.valueOf(message.get("growth"))));
      case "changes":
        return state.changes();
      case "restore":
        Object ids = message.get("ids");
        return state.restore(ids instanceof List ? (List<?>) ids : new java.util.ArrayList<>());
      case "growth":
        return state.growth();
      default:
        return Json.object("error", "unknown command: " + command);
    }
  }
}
