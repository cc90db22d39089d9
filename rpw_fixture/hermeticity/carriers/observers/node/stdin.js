/**
 * Let the observer answer while the tool waits in fs.readSync(0).
 *
 * Such a tool blocks the event loop. Its wait is replaced by short waits on a second, non-blocking
 * description of the same pipe, with the socket looked at in between. The bytes, their order and the
 * end of the stream are the same.
 */
'use strict';

const fs = require('node:fs');
const { syncBuiltinESMExports } = require('node:module');
const { pause } = require('./channel.js');

const { readSync, fstatSync, openSync } = fs;

/** The status of a descriptor, or null where it has none. */
function status(descriptor) {
  try {
    return fstatSync(descriptor);
  } catch {
    return null;
  }
}

function isSame(one, other) {
  return one !== null && one.ino === other.ino && one.dev === other.dev;
}

/** A non-blocking descriptor of the pipe that is stdin; -1 where the system has none. */
function reopen() {
  try {
    return openSync('/proc/self/fd/0', fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch {
    return -1;
  }
}

/** Replace fs.readSync. `serve` answers what has arrived on the socket and returns at once. */
function install(serve) {
  const stdin = status(0);
  if (stdin === null || !stdin.isFIFO()) return;
  let twin = -1;
  const replacement = {
    readSync(descriptor, ...rest) {
      if (descriptor !== 0 && !isSame(status(descriptor), stdin)) return readSync(descriptor, ...rest);
      if (twin < 0) twin = reopen();
      if (twin < 0) return readSync(descriptor, ...rest);
      for (;;) {
        try {
          return readSync(twin, ...rest);
        } catch (error) {
          if (error.code !== 'EAGAIN') throw error;
        }
        serve();
        pause();
      }
    },
  };
  fs.readSync = replacement.readSync;
  syncBuiltinESMExports();
}

module.exports = { install };
