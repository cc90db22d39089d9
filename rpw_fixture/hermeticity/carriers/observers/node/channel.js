/** A connection to the check that works with and without a turning event loop. */
'use strict';

const fs = require('node:fs');
const net = require('node:net');

// The tool may replace these later.
const { readSync, writeSync } = fs;
const NEVER = new Int32Array(new SharedArrayBuffer(4));
const PAUSE_MILLISECONDS = 1;
const WRITE_MILLISECONDS = 2000;

function pause() {
  Atomics.wait(NEVER, 0, 0, PAUSE_MILLISECONDS);
}

class Channel {
  /**
   * @param address a path, or HOST:PORT
   * @param answer a function from a message to its answer
   */
  constructor(address, answer) {
    this.address = address;
    this.answer = answer;
    this.pending = Buffer.alloc(0);
    this.isServing = false;
  }

  open(greeting) {
    const match = /^([\d.]+):(\d+)$/.exec(this.address);
    this.socket = match ? net.connect(Number(match[2]), match[1]) : net.connect(this.address);
    this.socket.on('error', () => this.close());
    this.socket.on('data', (data) => this.take(data));
    this.socket.on('end', () => this.close());
    this.socket.unref();
    // libuv has called connect() already, so the greeting can go before the event loop turns.
    this.descriptor = this.socket._handle?.fd ?? -1;
    this.send(greeting);
  }

  close() {
    this.descriptor = -1;
    this.socket.destroy();
  }

  /** Answer what has arrived, without the event loop: a tool that reads synchronously blocks it. */
  serve() {
    const chunk = Buffer.alloc(65536);
    while (this.descriptor >= 0 && !this.isServing) {
      let size;
      try {
        size = readSync(this.descriptor, chunk, 0, chunk.length, null);
      } catch (error) {
        if (error.code !== 'EAGAIN') this.descriptor = -1;
        return;
      }
      if (size === 0) {
        this.descriptor = -1;
        return;
      }
      this.take(chunk.subarray(0, size));
    }
  }

  take(data) {
    this.pending = Buffer.concat([this.pending, data]);
    for (let end; (end = this.pending.indexOf(10)) >= 0; ) {
      const line = this.pending.subarray(0, end).toString();
      this.pending = this.pending.subarray(end + 1);
      this.send(this.safely(line));
    }
  }

  safely(line) {
    this.isServing = true;
    try {
      return this.answer(JSON.parse(line));
    } catch (error) {
      return { error: `the observer failed: ${error.stack || error}` };
    } finally {
      this.isServing = false;
    }
  }

  send(message) {
    let rest = Buffer.from(`${JSON.stringify(message)}\n`);
    const deadline = Date.now() + WRITE_MILLISECONDS;
    while (rest.length && this.descriptor >= 0 && Date.now() < deadline) {
      try {
        rest = rest.subarray(writeSync(this.descriptor, rest));
      } catch (error) {
        if (error.code !== 'EAGAIN' && error.code !== 'ENOTCONN') return;
        pause();
      }
    }
  }
}

module.exports = { Channel, pause };
