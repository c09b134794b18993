/**
 * The one script of the console. It counts times down, replaces live rows as they change, filters lists and copies text. Without it every page works:
 * what it adds is marked by `data-` attributes, and what only it can do is `hidden` until it runs.
 */
export const consoleScript = `"use strict";
(() => {
  const body = document.body;
  const offsetMs = Number(body.dataset.now || Date.now()) - Date.now();
  const nowMs = () => Date.now() + offsetMs;

  const units = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
  const inWords = (ms) => {
    let seconds = Math.max(0, Math.floor(ms / 1000));
    const parts = [];
    for (const [name, size] of units) {
      const count = Math.floor(seconds / size);
      seconds -= count * size;
      if (count > 0 || parts.length > 0) parts.push(count + name);
    }
    return parts.slice(0, 2).filter((part) => !part.startsWith("0")).join(" ") || "0s";
  };

  const count = () => {
    for (const time of document.querySelectorAll("time[data-count]")) {
      const atMs = Number(time.dataset.count);
      const leftMs = atMs - nowMs();
      const isNow = Math.abs(leftMs) < 1000;
      const text = isNow ? "now" : leftMs > 0 ? "in " + inWords(leftMs) : inWords(-leftMs) + " ago";
      if (time.textContent !== text) time.textContent = text;
    }
  };
  count();
  setInterval(count, 1000);
  document.addEventListener("console:changed", count);

  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      const label = button.textContent;
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = label; }, 2000);
    });
  }

  /* What changes takes the place of the element with the same id; what is new to a list stands at its top. */
  const live = document.querySelector("[data-live]");
  if (!live) return;
  const state = document.querySelector("[data-live-state]");
  const say = (text) => { if (state) state.textContent = text; };
  const announcer = document.querySelector("[data-announce]");
  const announce = (text) => { if (announcer) announcer.textContent = text; };
  const list = live.querySelector("tbody");
  const maxRows = 100;
  const showRows = () => {
    const isEmpty = list.rows.length === 0;
    list.closest("table").hidden = isEmpty;
    for (const text of live.querySelectorAll("[data-empty]")) text.hidden = !isEmpty;
  };
  const insert = (row) => {
    list.prepend(row);
    while (list.rows.length > maxRows) list.lastElementChild.remove();
    showRows();
  };
  let source;
  const follow = () => {
    const url = new URL(live.dataset.live, location.href);
    if (list) {
      /* The rows that stand there now, by name. */
      url.searchParams.delete("id");
      for (const row of list.rows) url.searchParams.append("id", row.id.slice(2));
    }
    source = new EventSource(url);
    source.onopen = () => say("Live");
    source.onerror = () => say(source.readyState === EventSource.CLOSED ? "Not live: load the page again" : "Connecting");
    const put = (event) => {
      const { id, html } = JSON.parse(event.data);
      const old = document.getElementById(id);
      const template = document.createElement("template");
      template.innerHTML = html;
      const next = template.content.firstElementChild;
      if (!next || (old ? old.dataset.version === next.dataset.version : event.type !== "insert" || !list)) return;
      const hadFocus = old?.contains(document.activeElement);
      if (old) old.replaceWith(next); else insert(next);
      next.classList.add("changed");
      if (hadFocus) next.querySelector("a, button")?.focus();
      if (old?.dataset.state !== next.dataset.state) {
        announce(next.dataset.name + ": " + next.dataset.state);
        document.dispatchEvent(new Event("console:listed"));
      }
      count();
    };
    source.addEventListener("replace", put);
    source.addEventListener("insert", put);
    source.addEventListener("remove", (event) => {
      document.getElementById(JSON.parse(event.data).id)?.remove();
      if (list) showRows();
      document.dispatchEvent(new Event("console:listed"));
    });
  };
  /* A browser has six connections to a host: a page that nobody looks at keeps none. */
  const show = () => {
    if (document.hidden) { source?.close(); source = undefined; }
    else if (!source) follow();
  };
  document.addEventListener("visibilitychange", show);
  addEventListener("pagehide", () => { source?.close(); source = undefined; });
  show();
})();
`;
