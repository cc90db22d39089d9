'use strict';

const { EventEmitter } = require('node:events');

/** The compiler; plug-ins listen to `emit`, and change the chunks of the output. */
class Compiler extends EventEmitter {
  compile(source) {
    const chunks = source
      .replace(/\/\*[^]*?\*\//g, '')
      .split('}')
      .map((rule) => rule.replace(/\s+/g, ' ').trim())
      .filter(Boolean)
      .map((rule) => `${rule} }`);
    this.emit('emit', chunks);
    return `${chunks.join('\n')}\n`;
  }
}

module.exports = new Compiler();
