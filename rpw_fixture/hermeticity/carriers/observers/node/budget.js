/** How long the observer may work: in processor time, so that a busy machine does not cut it short. */
'use strict';

// The tool may replace these later.
const { cpuUsage } = process;
const now = Date.now;
const THOUSAND = 1000;

class Budget {
  /**
   * @param milliseconds of processor time
   * @param most milliseconds until the answer is due
   */
  constructor(milliseconds, most) {
    this.milliseconds = milliseconds;
    this.start = cpuUsage();
    this.end = now() + most;
  }

  get used() {
    const { user, system } = cpuUsage(this.start);
    return (user + system) / THOUSAND;
  }

  /** Milliseconds until the answer is due. */
  get left() {
    return this.end - now();
  }

  get isSpent() {
    return this.used > this.milliseconds || this.left < 0;
  }
}

module.exports = { Budget };
