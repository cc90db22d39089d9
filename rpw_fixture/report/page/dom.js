// Building elements. Every text becomes a text node: nothing from a log is ever parsed as HTML.

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(3).filter((each) => each !== null && each !== undefined && each !== false));
  return element;
}

export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

export function section(title, ...children) {
  return h("section", { class: "card" }, h("h3", {}, title), ...children);
}

export function missing(text) {
  return h("p", { class: "missing" }, text);
}

export function definitions(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "facts" }, shown.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

// A table that scrolls sideways within itself on a narrow screen.
// With kind "prose" the cells of a row stand below each other there, each with its title.
export function table(caption, columns, rows, kind = null) {
  const head = columns.map((each) => h("th", { scope: "col", class: each.number ? "number" : null }, each.title));
  const body = rows.map((cells) => h("tr", {}, cells.map((cell, index) => cellOf(cell, columns[index]))));
  return scroller(caption, h("table", { class: kind }, h("caption", { class: "unseen" }, caption), h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
}

function cellOf(cell, column) {
  return h(column.header ? "th" : "td", { class: column.number ? "number" : null, scope: column.header ? "row" : null, "data-title": column.title }, cell);
}

export function scroller(label, ...children) {
  return h("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": label }, ...children);
}

export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

// A block of text with a button that copies it.
export function copyable(text, label) {
  const button = h("button", { type: "button", class: "copy", "aria-label": `Copy ${label}` }, "Copy");
  const block = h("pre", { tabindex: "0", "aria-label": label }, text);
  button.addEventListener("click", () => copy(text, block, button));
  return h("div", { class: "copyable" }, block, button);
}

function copy(text, block, button) {
  const done = () => {
    button.textContent = "Copied";
    announce("Copied");
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };
  const select = () => {
    getSelection().selectAllChildren(block);
    button.textContent = "Selected: press Ctrl+C";
    announce("Selected. Press Control C to copy.");
  };
  // A file opened from disk may not be allowed to write to the clipboard.
  if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, select);
  else select();
}

export function badge(kind, text) {
  return h("span", { class: `badge ${kind}` }, text);
}
