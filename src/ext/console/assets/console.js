/* The one script of the console. Without it every page works: what it adds is marked by `data-` attributes, and what only it can do is
   `hidden` until it runs. It counts times, copies, searches as one types, asks again for what changes (`data-poll`, in seconds,
   at the address `data-from`), with it for what is marked `data-follow`, and moves through lists by key. */

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
  const count = (root) => {
    for (const time of all("time[data-count]", root)) {
      const leftMs = Number(time.dataset.count) - Date.now() - offsetMs;
      const text =
        Math.abs(leftMs) < 1000 ? "now" : leftMs > 0 ? "in " + inWords(leftMs) : inWords(-leftMs) + " ago";
      if (time.textContent !== text) time.textContent = text;
    }
    for (const bar of all("progress[data-until]", root))
      bar.value = Math.max(0, Math.ceil((Number(bar.dataset.until) - Date.now() - offsetMs) / 1000));
  };
  const selected = () => {
    const picked = all("tbody input[name=id]:checked").length;
    for (const text of all("[data-selected]")) text.textContent = picked + " selected";
    for (const bar of all("[data-bulk]"))
      for (const button of all("button", bar)) button.disabled = picked === 0;
  };
  /* Also of a page that was asked for again, so that both can be compared. */
  const prepare = (root) => {
    count(root);
    for (const button of all("button[data-copy]", root)) button.hidden = !navigator.clipboard;
    for (const part of all("[data-script], [data-all]", root)) part.hidden = false;
  };
  const ready = () => {
    prepare();
    selected();
  };
  ready();
  setInterval(() => count(), 1000);

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

  document.addEventListener("input", ({ target }) => {
    if (!target.matches("[data-choose-theme]")) return;
    // biome-ignore lint/suspicious/noDocumentCookie: the other way is asynchronous, and not in every browser.
    document.cookie = "nexusd-theme=" + target.value + "; path=/; max-age=31536000; samesite=strict";
    document.documentElement.dataset.theme = target.value;
  });
  document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

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
    const asks = element.querySelector(":popover-open");
    return holdsText || asks || element.contains(document.activeElement);
  };
  const announce = (old, next) => {
    const place = document.querySelector("[data-announce]");
    const { name, state } = next.dataset;
    if (place && state && old?.dataset.state !== state) place.textContent = name + ": " + state;
  };
  const put = (old, next) => {
    for (const open of all("details[open][id]", old))
      next.querySelector("#" + open.id)?.setAttribute("open", "");
    for (const shown of [next, ...all("tr[data-state]", next)])
      announce(document.getElementById(shown.id), shown);
    old.replaceWith(next);
    for (const chip of all(".state", next)) if (next.dataset.state) chip.classList.add("changed");
    ready();
  };
  /* Rows are kept by their ids: those that are the same stay where they are, so that nothing jumps. Where a person is about to answer
     one of a list, the others stay too, and new ones come below. */
  const putRows = (body, next) => {
    const isList = body.matches("[data-list]");
    const isAnswered = isList && body.querySelector("form:is(:hover, :focus-within)");
    const rows = [...next.children].map((row) => {
      const old = document.getElementById(row.id);
      old?.classList.remove("changed");
      if (old && isList && (isAnswered || old.dataset.state === row.dataset.state)) return old;
      if (old?.outerHTML.replace(' class=""', "") === row.outerHTML) return old;
      const focused = old?.contains(document.activeElement) ? document.activeElement.tagName : undefined;
      if (old?.querySelector("input[name=id]")?.checked) row.querySelector("input[name=id]").checked = true;
      announce(old, row);
      if (old) old.replaceWith(row);
      else body.append(row);
      if (focused) row.querySelector(focused)?.focus();
      row.classList.add("changed");
      return row;
    });
    if (isAnswered) return;
    for (const row of [...body.children]) if (!rows.includes(row)) row.remove();
    rows.forEach((row, index) => {
      if (body.children[index] !== row) body.insertBefore(row, body.children[index]);
    });
    ready();
  };
  const follow = (old, next) => {
    for (const part of [old, next]) prepare(part);
    const [body, rows] = [old, next].map((part) =>
      part.querySelector(":is(tbody:has(> tr[id]), [data-list])"),
    );
    if (body && rows) putRows(body, rows);
    else if (!isInUse(old) && next.innerHTML !== old.innerHTML) put(old, next);
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

  const say = (text) => {
    for (const state of all("[data-live-state]")) {
      state.textContent = text;
      state.classList.toggle("on", text === "Live");
    }
  };
  const followed = all("[data-poll], [data-follow]").map(({ id }) => id);
  const [first] = all("[data-poll]");
  const again = () =>
    setTimeout(async () => {
      if (!document.hidden) {
        try {
          const page = await load(first.dataset.from || location.href);
          for (const id of followed) {
            const [old, next] = [document, page].map((each) => each.getElementById(id));
            if (old && next) follow(old, next);
          }
          say("Live");
        } catch {
          say("Not live: the daemon does not answer");
        }
      }
      again();
    }, Number(first.dataset.poll) * 1000);
  if (first) {
    say("Live");
    again();
  }

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
})();
