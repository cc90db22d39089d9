'use strict';

exports.addBanner = (compiler, text) => {
  compiler.on('emit', (chunks) => chunks.unshift(`/*! ${text} */`));
};
