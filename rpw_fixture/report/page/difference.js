// Two contents side by side: lines of text, bytes in hex, members of archives.

import { badge, h, scroller } from "./dom.js";
import { paired } from "./evidence.js";
import { bytes } from "./numbers.js";

const ROW = 16;

export function difference(each, isInner = false) {
  const title = `${each.path}: ${bytes(each.sizes[0])} and ${bytes(each.sizes[1])}`;
  return h("figure", { class: isInner ? "inner" : null }, isInner ? null : h("figcaption", { class: "wrap" }, h("b", {}, each.path), title.slice(each.path.length)),
    each.lines ? lines(each) : null, each.rows ? hex(each) : null, each.members ? members(each) : null,
    each.more ? h("p", { class: "hint" }, `and ${each.more} more ${each.lines ? "lines" : each.rows ? "rows" : "members"}`) : null);
}

function grid(label, kind, heads, rows) {
  return scroller(label, h("table", { class: `diff ${kind}` }, h("thead", {}, h("tr", {}, heads.map((each) => h("th", { scope: "col" }, each)))), h("tbody", {}, rows)));
}

function lines(each) {
  return linesTable(each.path, each.labels, paired(each.lines.slice(2)));
}

export function linesTable(path, labels, rows) {
  const cell = (text, row, kind) => h("td", { class: row.same ? null : text === null ? "absent" : kind }, text === null ? "" : h("code", {}, text));
  return grid(`Difference of ${path || "the results"}`, "text", labels, rows.map((row) => (row.gap ? h("tr", { class: "gap" }, h("td", { colspan: "2" }, place(row.gap))) : h("tr", {}, cell(row.left, row, "old"), cell(row.right, row, "new")))));
}

// Returns the place that a line such as "@@ -3,2 +4,2 @@" names, in words.
export function place(gap) {
  const [, left, right] = /^@@ -(\d+)\S* \+(\d+)/.exec(gap) || [];
  if (!left) return gap;
  return left === right ? `from line ${left}` : `from line ${left}, on the right ${right}`;
}

// Returns the bytes of a row as [hex, text, whether it differs], filled up to a whole row.
export function cells(own, other) {
  const found = [];
  for (let index = 0; index < ROW; index += 1) {
    const [one, two] = [own, other].map((each) => each.slice(2 * index, 2 * index + 2));
    const code = Number.parseInt(one, 16);
    found.push([one || "  ", one ? (code >= 32 && code < 127 ? String.fromCharCode(code) : "·") : " ", one !== two]);
  }
  return found;
}

// Joins neighbours that are marked alike, so that few elements are needed.
export function marked(found, which, between) {
  const spans = [];
  found.forEach((each, index) => {
    const gap = index === 0 ? "" : index === ROW / 2 && between ? `${between} ` : between;
    const last = spans.at(-1);
    if (last && last[1] === each[2]) last[0] += gap + each[which];
    else if (last && each[2]) {
      last[0] += gap; // the space before a mark is not marked
      spans.push([each[which], true]);
    } else spans.push([gap + each[which], each[2]]);
  });
  return spans;
}

function half(own, other, kind) {
  const found = cells(own, other);
  const spans = (which, between) => marked(found, which, between).map(([text, differs]) => (differs ? h("mark", { class: kind }, text) : text));
  return [h("code", {}, spans(0, " ")), h("code", { class: "letters" }, spans(1, ""))];
}

function hex(each) {
  const rows = [];
  let next = null;
  for (const [at, left, right] of each.rows) {
    if (next !== null && at !== next) rows.push(h("tr", { class: "gap" }, h("td", { colspan: "3" }, `${bytes(at - next)} that are the same`)));
    next = at + ROW;
    rows.push(h("tr", {}, h("th", { scope: "row" }, at.toString(16).padStart(6, "0")), h("td", {}, half(left, right, "old")), h("td", {}, half(right, left, "new"))));
  }
  return grid(`Bytes of ${each.path}`, "hex", ["byte", ...each.labels], rows);
}

function members(each) {
  const rows = each.members.map((member) => {
    const [left, right] = member.sizes;
    const state = left === null ? "only right" : right === null ? "only left" : member.difference || member.about ? "differs" : "";
    const side = (size, index) => h("td", { class: size === null ? "absent" : state && state !== "differs" ? (index ? "new" : "old") : null }, size === null ? "absent" : bytes(size), member.about ? [h("br"), h("small", {}, member.about[index])] : null);
    return [h("tr", {}, h("th", { scope: "row", class: "wrap" }, member.name, state === "differs" ? [" ", badge("warning", "differs")] : state ? null : h("small", {}, " the same")), side(left, 0), side(right, 1)),
      member.difference ? h("tr", {}, h("td", { colspan: "3", class: "nested" }, difference(member.difference, true))) : null];
  });
  return grid(`Members of ${each.path}`, "members", ["member", ...each.labels], rows.flat().filter(Boolean));
}

// Leaves out the pieces of an evidence that differences show better.
export function others(pieces, differences) {
  const paths = differences.map((each) => each.path);
  const isShown = (path) => paths.some((each) => path === each || path.startsWith(`${each}!`));
  return pieces.flatMap((piece) => {
    if (piece.kind !== "text") return isShown(piece.path) ? [] : [piece];
    const kept = piece.text.split("\n").filter((line) => !paths.some((each) => line === `${each}:` || line.startsWith(`${each}!`) || line.startsWith(`${each}: `)));
    return kept.some((line) => line.trim()) ? [{ ...piece, text: kept.join("\n") }] : [];
  });
}
