// Inputs as a tree: which of them are tool inputs, and which were read, never read, or read though undeclared.

import { badge, h } from "./dom.js";
import { bytes, counted } from "./numbers.js";

const WORDS = { read: "read", unread: "never read", undeclared: "read though undeclared" };

// Returns what checks saw of an action by its name; null if none of them watched it.
export function accessOf(checks, name) {
  for (const check of checks) {
    const found = (check.accesses || []).find((each) => each.action === name);
    if (found) return found;
  }
  return null;
}

// Returns the state of a path: "read", "unread", "undeclared", or "" where it is not known.
export function stateOfInput(access, path) {
  if (!access) return "";
  return Object.keys(WORDS).find((each) => (access[each] || []).includes(path)) || "";
}

// Adds the paths that were read though undeclared to [path, digest, whether it is a tool input].
export function withUndeclared(files, access) {
  return [...files, ...((access && access.undeclared) || []).map((path) => [path, "", false])];
}

// Returns tool inputs, and the other inputs that only a check names.
export function joined(tools, access) {
  const known = new Set(tools.map(([path]) => path));
  const others = [...(access.read || []), ...(access.unread || [])].filter((path) => !known.has(path));
  return [...tools, ...others.sort().map((path) => [path, "", false])];
}

export function accessSummary(access) {
  if (!access) return null;
  const parts = Object.entries(WORDS).map(([state, text]) => [state, access[state] ? `${access[state].length} ${text}` : `${text}: unknown`]);
  return h("ul", { class: "legend" }, parts.map(([state, text]) => h("li", {}, h("i", { class: `swatch access-${state}` }), text)));
}

// Returns folders as nested lists, from [path, digest, whether it is a tool input].
export function folders(files) {
  const root = { folders: new Map(), files: [] };
  for (const [path, digest, isTool] of files) {
    const parts = path.split("/");
    const name = parts.pop();
    let place = root;
    for (const part of parts) {
      if (!place.folders.has(part)) place.folders.set(part, { folders: new Map(), files: [] });
      place = place.folders.get(part);
    }
    place.files.push({ path, name, digest, isTool });
  }
  return root;
}

export function inputTree(files, access) {
  const states = new Map();
  for (const state of access ? Object.keys(WORDS) : []) for (const path of access[state] || []) states.set(path, state);
  const isOpen = files.length < 60;
  const draw = (folder) => h("ul", { class: "tree" },
    [...folder.folders].map(([name, each]) => chain(name, each)).map(([name, each]) => h("li", {}, h("details", { open: isOpen }, h("summary", {}, `${name}/`), draw(each)))),
    folder.files.map((each) => leaf(each, states.get(each.path))));
  return draw(folders(files));
}

// Joins folders that hold nothing but one folder, so that long paths take one line.
function chain(name, folder) {
  let [text, place] = [name, folder];
  while (place.files.length === 0 && place.folders.size === 1) {
    const [[next, inner]] = place.folders;
    [text, place] = [`${text}/${next}`, inner];
  }
  return [text, place];
}

function leaf(file, state) {
  const name = state === "unread" ? h("s", {}, file.name) : file.name;
  const size = Number(String(file.digest).split("/")[1]);
  return h("li", { class: state ? `access-${state}` : null, title: file.digest || null }, name, " ", file.isTool ? badge("quiet", "tool input") : null, " ",
    h("small", {}, [Number.isFinite(size) && file.digest ? bytes(size) : "", state ? WORDS[state] : ""].filter(Boolean).join(", ")));
}

// The inputs of every action that a check watched.
export function watched(check) {
  const known = check.accesses || [];
  if (known.length === 0) return null;
  return h("section", { class: "card wide" }, h("h3", {}, `What ${counted(known.length, "watched action")} did with the inputs`),
    known.map((each) => h("details", {}, h("summary", {}, each.action, " ", h("small", {}, summaryOf(each))), inputTree(withUndeclared(joined([], each), each), each))));
}

function summaryOf(access) {
  return Object.entries(WORDS).filter(([state]) => access[state] && access[state].length).map(([state, text]) => `${access[state].length} ${text}`).join(", ") || "nothing was seen";
}
