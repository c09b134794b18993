/* The one script of the console. Without it every page works: what it adds is marked by `data-` attributes, and what only it can do is
   `hidden` until it runs. It counts times, copies, searches as one types, asks again for what changes (`data-poll`, in seconds), follows live
   connections (`data-live`), and moves through lists by key. */

(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const offsetMs = Number(document.body.dataset.now || Date.now()) - Date.now();
  const units = [
    ["d", 86400],
    ["h", 3600],
    ["m", 60],
    ["s", 1],
  ];
  const inWords = (ms) => {
    let seconds = Math.max(0, Math.floor(ms / 1000));
    const parts = [];
    for (const [name, size] of units) {
      const count = Math.floor(seconds / size);
      seconds -= count * size;
      if (count > 0 || parts.length > 0) parts.push(count + name);
    }
    return (
      parts
        .slice(0, 2)
        .filter((part) => !part.startsWith("0"))
        .join(" ") || "0s"
    );
  };
  const count = () => {
    for (const time of all("time[data-count]")) {
      const leftMs = Number(time.dataset.count) - Date.now() - offsetMs;
      const text =
        Math.abs(leftMs) < 1000 ? "now" : leftMs > 0 ? "in " + inWords(leftMs) : inWords(-leftMs) + " ago";
      if (time.textContent !== text) time.textContent = text;
    }
  };
  const selected = () => {
    const picked = all("tbody input[name=id]:checked").length;
    for (const text of all("[data-selected]")) text.textContent = picked + " selected";
    for (const bar of all("[data-bulk]"))
      for (const button of all("button", bar)) button.disabled = picked === 0;
  };
  const ready = () => {
    count();
    selected();
    for (const button of all("button[data-copy]")) button.hidden = !navigator.clipboard;
    for (const part of all("[data-script], [data-all]")) part.hidden = false;
  };
  ready();
  setInterval(count, 1000);

  document.addEventListener("click", async ({ target }) => {
    const button = target.closest?.("button[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.copy);
    const label = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => {
      button.textContent = label;
    }, 2000);
  });
  document.addEventListener("change", ({ target }) => {
    if (target.matches("[data-all]"))
      for (const box of all("tbody input[name=id]")) box.checked = target.checked;
    selected();
  });

  const load = async (url, signal) => {
    const response = await fetch(url, { credentials: "same-origin", redirect: "error", signal });
    if (response.status === 401) location.reload();
    if (!response.ok) throw new Error(String(response.status));
    return new DOMParser().parseFromString(await response.text(), "text/html");
  };
  /* Nobody's place is taken away: what has the focus, or holds the selected text, stays until that is elsewhere. */
  const isInUse = (element) => {
    const selection = getSelection();
    const holdsText = selection && !selection.isCollapsed && element.contains(selection.anchorNode);
    return holdsText || element.contains(document.activeElement);
  };
  const put = (old, next) => {
    for (const open of all("details[open][id]", old))
      next.querySelector("#" + open.id)?.setAttribute("open", "");
    for (const row of all("tr[id]", next))
      if (old.querySelector("tr") && !document.getElementById(row.id)) row.classList.add("changed");
    old.replaceWith(next);
    ready();
  };

  for (const form of all("form[data-search]")) {
    let timer;
    let asking;
    form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(async () => {
        asking?.abort();
        asking = new AbortController();
        const url = form.getAttribute("action") + "?" + new URLSearchParams(new FormData(form));
        try {
          const found = (await load(url, asking.signal)).getElementById(form.dataset.search);
          const old = document.getElementById(form.dataset.search);
          if (!found || !old) return;
          put(old, found);
          history.replaceState(null, "", url);
        } catch {
          /* The next letter asks again, and the button is still there. */
        }
      }, 120);
    });
  }

  for (const { id, dataset } of all("[data-poll]")) {
    const again = () =>
      setTimeout(async () => {
        const old = document.getElementById(id);
        if (!document.hidden && old && !isInUse(old)) {
          const next = await load(location.href).then(
            (page) => page.getElementById(id),
            () => undefined,
          );
          if (next && !isInUse(old) && next.innerHTML !== old.innerHTML) put(old, next);
        }
        again();
      }, Number(dataset.poll) * 1000);
    again();
  }

  /* What a list changed may have changed the numbers beside it. */
  let counting;
  const listed = () => {
    const old = document.querySelector("[data-counts]");
    if (!old) return;
    clearTimeout(counting);
    counting = setTimeout(async () => {
      const page = document.hidden ? undefined : await load(old.dataset.counts).catch(() => undefined);
      const next = page ? all("[data-counts] .count", page) : [];
      all(".count", old).forEach((number, index) => {
        if (next[index]) number.textContent = next[index].textContent;
      });
    }, 1000);
  };

  /* By key, as in a mail program. */
  const rows = () => all("table.connections tbody tr");
  document.addEventListener("keydown", (event) => {
    if (
      event.ctrlKey ||
      event.metaKey ||
      event.altKey ||
      event.target.matches("input:not([type=checkbox]), select, textarea")
    )
      return;
    const search = document.getElementById("search");
    if (event.key === "/" && search) {
      event.preventDefault();
      search.focus();
      return;
    }
    const current = document.activeElement?.closest("table.connections tbody tr");
    const step = { j: 1, k: -1 }[event.key];
    if (step) {
      const list = rows();
      const index = current ? list.indexOf(current) + step : step > 0 ? 0 : list.length - 1;
      list[index]?.querySelector("th a")?.focus();
    } else if (event.key === "x") current?.querySelector("input[name=id]")?.click();
  });

  /* What changes takes the place of the element with the same id; what is new to a list stands at its top. */
  const live = document.querySelector("[data-live]");
  if (!live) return;
  const state = document.querySelector("[data-live-state]");
  const say = (text) => {
    if (state) {
      state.textContent = text;
      state.classList.toggle("on", text === "Live");
    }
  };
  const announce = (text) => {
    const place = document.querySelector("[data-announce]");
    if (place) place.textContent = text;
  };
  const list = live.querySelector("tbody");
  const maxRows = 100;
  const showRows = () => {
    const isEmpty = list.rows.length === 0;
    list.closest("table").hidden = isEmpty;
    for (const text of all("[data-empty]", live)) text.hidden = !isEmpty;
  };
  let source;
  const replace = (event) => {
    const { id, html } = JSON.parse(event.data);
    const old = document.getElementById(id);
    const template = document.createElement("template");
    template.innerHTML = html;
    const next = template.content.firstElementChild;
    if (!next || (old ? old.dataset.version === next.dataset.version : event.type !== "insert" || !list))
      return;
    const focused = old?.contains(document.activeElement) ? document.activeElement.tagName : undefined;
    const wasPicked = old?.querySelector("input[name=id]")?.checked;
    if (old) old.replaceWith(next);
    else {
      list.prepend(next);
      while (list.rows.length > maxRows) list.lastElementChild.remove();
      showRows();
    }
    if (wasPicked) next.querySelector("input[name=id]").checked = true;
    if (focused) next.querySelector(focused)?.focus();
    next.classList.add("changed");
    if (old?.dataset.state !== next.dataset.state) {
      announce(next.dataset.name + ": " + next.dataset.state);
      listed();
    }
    ready();
  };
  const remove = (event) => {
    document.getElementById(JSON.parse(event.data).id)?.remove();
    if (list) showRows();
    listed();
  };
  const follow = () => {
    const url = new URL(live.dataset.live, location.href);
    if (list) {
      /* The rows that stand there now, by name. */
      url.searchParams.delete("id");
      for (const row of list.rows) url.searchParams.append("id", row.id.slice(2));
    }
    source = new EventSource(url);
    source.onopen = () => say("Live");
    source.onerror = () =>
      say(source.readyState === EventSource.CLOSED ? "Not live: load the page again" : "Connecting");
    source.addEventListener("replace", replace);
    source.addEventListener("insert", replace);
    source.addEventListener("remove", remove);
  };
  /* A browser has six connections to a host: a page that nobody looks at keeps none. */
  const show = () => {
    if (document.hidden) {
      source?.close();
      source = undefined;
    } else if (!source) follow();
  };
  document.addEventListener("visibilitychange", show);
  addEventListener("pagehide", () => {
    source?.close();
    source = undefined;
  });
  show();
})();
