'use strict';

const ENTITIES = { '<': '&lt;', '>': '&gt;', '&': '&amp;' };

exports.escapeText = (text) => text.replace(/[<>&]/g, (each) => ENTITIES[each]);

let keywords = null;

/** Code with its keywords marked; the words are read when there is code for the first time. */
function highlight(code) {
  if (highlight.known.has(code)) return highlight.known.get(code);
  keywords ??= new Set(require('./keywords.json'));
  const marked = code
    .split(' ')
    .map((word) => (keywords.has(word) ? `<i>${word}</i>` : word))
    .join(' ');
  if (highlight.known.size >= 200) highlight.known.clear();
  highlight.known.set(code, marked);
  return marked;
}
highlight.known = new Map();

exports.highlight = highlight;
