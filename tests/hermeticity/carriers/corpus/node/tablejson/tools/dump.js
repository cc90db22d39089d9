'use strict';

/** Old readers know no other whole numbers than strings. */
function writeNumbersAsStrings() {
  BigInt.prototype.toJSON = function toJSON() {
    return this.toString();
  };
}

function exactly(key, value) {
  return typeof value === 'bigint' ? { $int: value.toString() } : value;
}

exports.dump = (value, { numbers }) => {
  if (numbers === 'strings') writeNumbersAsStrings();
  return `${JSON.stringify(value, exactly, 1)}\n`;
};
