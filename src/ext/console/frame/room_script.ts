/**
 * The part of the script that asks for pages again: a search as one types (`data-search` names the element that holds what was found), what
 * is looked at while it changes (`data-poll`, in seconds), numbers beside a live list (`data-counts` names the page that has them), and a list that grows at its top (`data-follow`, in seconds). What it shows is what the
 * daemon's page holds; a page that nobody looks at asks for nothing.
 */
export const roomScript = `
(() => {
  const parser = new DOMParser();
  const load = async (url, signal) => {
    const response = await fetch(url, { credentials: "same-origin", redirect: "error", signal });
    if (response.status === 401) location.reload();
    if (!response.ok) throw new Error(String(response.status));
    return parser.parseFromString(await response.text(), "text/html");
  };
  const changed = () => document.dispatchEvent(new Event("console:changed"));
  /* Nobody's place is taken away: what has the focus, or holds the selected text, stays until that is elsewhere. */
  const isInUse = (element) => {
    const selection = getSelection();
    const selected = selection && !selection.isCollapsed && element.contains(selection.anchorNode);
    return selected || element.contains(document.activeElement);
  };
  const put = (old, next) => {
    for (const open of old.querySelectorAll("details[open][id]")) next.querySelector("#" + open.id)?.setAttribute("open", "");
    old.replaceWith(next);
    changed();
  };

  for (const form of document.querySelectorAll("form[data-search]")) {
    let timer;
    let asking;
    form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(async () => {
        asking?.abort();
        asking = new AbortController();
        const query = new URLSearchParams(new FormData(form));
        const url = form.getAttribute("action") + "?" + query;
        try {
          const found = (await load(url, asking.signal)).getElementById(form.dataset.search);
          const old = document.getElementById(form.dataset.search);
          if (!found || !old) return;
          put(old, found);
          history.replaceState(null, "", url);
        } catch { /* The next letter asks again, and the button is still there. */ }
      }, 120);
    });
  }

  const every = (seconds, work) => {
    const again = () => setTimeout(async () => {
      if (!document.hidden) await work().catch(() => undefined);
      again();
    }, Number(seconds) * 1000);
    again();
  };

  for (const { id, dataset } of document.querySelectorAll("[data-poll]")) {
    every(dataset.poll, async () => {
      const old = document.getElementById(id);
      if (!old || isInUse(old)) return;
      const next = (await load(location.href)).getElementById(id);
      if (next && !isInUse(old)) put(old, next);
    });
  }

  /* What a list changed may have changed the numbers beside it. */
  for (const old of document.querySelectorAll("[data-counts]")) {
    let timer;
    document.addEventListener("console:listed", () => {
      timer ??= setTimeout(async () => {
        timer = undefined;
        const page = document.hidden ? undefined : await load(old.dataset.counts).catch(() => undefined);
        const next = page?.querySelectorAll("[data-counts] .count") ?? [];
        old.querySelectorAll(".count").forEach((count, index) => { if (next[index]) count.textContent = next[index].textContent; });
      }, 1000);
    });
  }

  const maxRows = 500;
  for (const { id, dataset } of document.querySelectorAll("[data-follow]")) {
    const say = (text) => {
      const state = document.querySelector("[data-follow-state]");
      if (state && state.textContent !== text) state.textContent = text;
    };
    say("New events appear by themselves.");
    every(dataset.follow, async () => {
      try {
        const next = (await load(location.href)).getElementById(id);
        const old = document.getElementById(id);
        if (!next || !old) return;
        say("New events appear by themselves.");
        const body = old.querySelector("tbody");
        const rows = [...next.querySelectorAll("tbody tr")];
        if (!body) { if (rows.length > 0) put(old, next); return; }
        const fresh = rows.filter((row) => !document.getElementById(row.id));
        for (const row of fresh) row.classList.add("changed");
        body.prepend(...fresh);
        while (body.rows.length > maxRows) body.lastElementChild.remove();
        if (fresh.length > 0) changed();
      } catch (error) {
        say("The daemon does not answer. Trying again.");
        throw error;
      }
    });
  }
})();
`;
