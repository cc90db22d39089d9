// A live page: rows that changed arrive as server-sent events. While it is paused they wait.

import { h } from "./dom.js";
import { applyChanges, mergeChanges } from "./model.js";

export function startLive(app) {
  let paused = false;
  let [whole, waiting] = [null, null];
  const state = h("span", { class: "live-state", role: "status" }, "connecting");
  const button = h("button", { type: "button", "aria-pressed": "false" }, "Pause");
  const show = (text, kind) => {
    state.textContent = text;
    state.setAttribute("class", `live-state ${kind}`);
  };
  const apply = () => {
    if (whole) app.changed(() => { app.data.runs[0] = whole; });
    if (waiting) app.changed(() => applyChanges(app.data.runs[0], waiting));
    [whole, waiting] = [null, null];
  };
  const arrived = () => {
    if (!paused) apply();
    else button.textContent = waiting ? `Continue (${waiting.actions.length} changed)` : "Continue";
  };
  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Continue" : "Pause";
    button.setAttribute("aria-pressed", String(paused));
    if (!paused) apply();
  });
  const source = new EventSource("events");
  source.addEventListener("open", () => show("live", "on"));
  source.addEventListener("error", () => show(source.readyState === EventSource.CLOSED ? "ended" : "connection lost, trying again", "off"));
  source.addEventListener("reset", (event) => {
    [whole, waiting] = [JSON.parse(event.data), null];
    arrived();
  });
  source.addEventListener("changes", (event) => {
    waiting = mergeChanges(waiting, JSON.parse(event.data));
    arrived();
  });
  source.addEventListener("ended", () => {
    source.close();
    show("the server has stopped", "off");
  });
  return h("div", { class: "live" }, state, button);
}
