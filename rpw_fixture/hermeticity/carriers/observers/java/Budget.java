package rpwfixture.observer;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;

/** How long to work: in the thread's processor time, so that a busy machine does not cut it short. */
final class Budget {
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  private final long processorTime;
  private final long start;
  private final long end;

  /** Takes nanoseconds of processor time, and nanoseconds until the answer is due. */
  Budget(long processorTime, long most) {
    this.processorTime = processorTime;
    this.start = now();
    this.end = System.nanoTime() + most;
  }

  private static long now() {
    return THREADS.isCurrentThreadCpuTimeSupported() ? THREADS.getCurrentThreadCpuTime() : System.nanoTime();
  }

  long used() {
    return now() - start;
  }

  boolean isSpent() {
    return used() > processorTime || System.nanoTime() > end;
  }
}
