// The page: which view is shown, of which run.

import { h } from "./dom.js";
import { action } from "./action.js";
import { actions } from "./actions.js";
import { compare } from "./compare.js";
import { findings } from "./findings.js";
import { growth } from "./growth.js";
import { keys } from "./keys.js";
import { lanes } from "./lanes.js";
import { startLive } from "./live.js";
import { matrix } from "./matrix.js";
import { overview } from "./overview.js";

const VIEWS = {
  overview: ["Overview", overview],
  lanes: ["Lanes", lanes],
  actions: ["Actions", actions],
  keys: ["Keys", keys],
  findings: ["Findings", findings],
  matrix: ["Matrix", matrix],
  growth: ["Growth", growth],
  compare: ["Compare", compare],
};

const app = {
  data: JSON.parse(document.getElementById("data").textContent),
  position: 0,
  parameters: [],
  filter: "",
  order: "start",
  // Tools whose equal key parts are shown; they stay so when a live page draws again.
  opened: new Set(),
  onLive: null,
  onPrint: null,
  get run() { return this.data.runs[this.position] || null; },
  changed(change) {
    change();
    if (this.onLive) this.onLive();
    else if (this.view !== "action") draw(false);
  },
};

function route() {
  const [view, ...parameters] = location.hash.slice(1).split("/");
  app.view = view === "action" || VIEWS[view] ? view : "overview";
  app.parameters = parameters;
  if (parameters[0] === "run") chooseRun(decodeURIComponent(parameters[1] || ""));
  if (view === "action" && app.data.runs[Number(parameters[0])]) app.position = Number(parameters[0]);
}

// A run by its name, as links from other reports have it, or by its number.
function chooseRun(name) {
  const named = app.data.runs.findIndex((each) => each.name === name);
  const found = named < 0 ? Number(name) : named;
  if (!app.data.runs[found]) return;
  app.position = found;
  const select = document.getElementById("runs");
  if (select) select.value = String(found);
}

function draw(isNew = true) {
  const main = document.getElementById("main");
  const [title, render] = app.view === "action" ? ["Action", action] : VIEWS[app.view];
  [app.onLive, app.onPrint] = [null, null];
  const focused = document.activeElement === document.body ? null : document.activeElement;
  const opened = isNew ? [] : unfolded(main);
  main.replaceChildren(h("h2", { class: "unseen" }, title), render(app));
  for (const each of main.querySelectorAll("details")) if (opened.includes(nameOf(each))) each.open = true;
  subtitle();
  for (const link of document.querySelectorAll("#views a")) {
    const isCurrent = link.getAttribute("href") === `#${app.view === "action" ? "actions" : app.view}`;
    if (isCurrent) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (isNew && focused && !focused.isConnected) main.focus({ preventScroll: true });
  if (isNew) scrollTo(0, 0);
}

// What the reader has unfolded stays so when a live page draws again.
function unfolded(main) {
  return [...main.querySelectorAll("details[open]")].map(nameOf);
}

function nameOf(details) {
  return `${details.closest("section")?.querySelector("h3")?.textContent}: ${details.querySelector("summary").textContent.replace(/\d+/g, "")}`;
}

function subtitle() {
  const name = app.data.runs.length > 1 || app.data.live ? "" : [...app.data.runs, ...app.data.checks].map((each) => each.name)[0] || "";
  const line = document.getElementById("subtitle");
  [line.textContent, line.title] = [name, name];
}

function header() {
  const counts = { findings: app.data.checks.reduce((sum, each) => sum + each.findings.length, 0) };
  const links = Object.entries(VIEWS).map(([name, [title]]) => h("a", { href: `#${name}` }, title, counts[name] ? h("small", {}, ` ${counts[name]}`) : null));
  const runs = app.data.runs.length > 1 ? h("select", { id: "runs", "aria-label": "Run", onchange: (event) => { app.position = Number(event.target.value); draw(); } }, app.data.runs.map((each, index) => h("option", { value: index }, `${each.failed ? "failed: " : ""}${each.name}`))) : null;
  const skip = h("a", { class: "skip", href: "#main", onclick: (event) => { event.preventDefault(); document.getElementById("main").focus(); } }, "Skip to the content");
  document.body.prepend(skip);
  document.getElementById("header").append(app.data.live ? startLive(app) : "", runs || "", h("nav", { id: "views", "aria-label": "Views" }, links));
  document.getElementById("footer").append(`Written by rpw_fixture ${app.data.version}.`);
}

header();
route();
draw();
addEventListener("hashchange", () => { route(); draw(); });
// Paper is white: what is drawn for it takes the light colours.
addEventListener("beforeprint", () => {
  document.documentElement.classList.add("printing");
  for (const each of document.querySelectorAll("details.folded")) each.open = true;
  if (app.onPrint) app.onPrint();
});
addEventListener("afterprint", () => {
  document.documentElement.classList.remove("printing");
  draw(false);
});
document.documentElement.dataset.ready = "yes";
