// What htmx does not do: colours, copying, ticking times, keys, and the manners of the live log.
(() => {
  "use strict";

  const ROWS_MAX = 200; // a live table keeps this many rows
  const WATCH_MAX = 100; // unfinished rows whose status is asked for again
  const TICK_MS = 1000;
  const TOAST_MS = 6000;

  const all = (selector) => [...document.querySelectorAll(selector)];
  const one = (selector) => document.querySelector(selector);

  // --- Toasts -----------------------------------------------------------------------------------

  function toast(text, kind = "info") {
    const box = document.createElement("p");
    box.className = `toast ${kind}`;
    box.textContent = text;
    one("#toasts").replaceChildren(box);
    setTimeout(() => box.remove(), TOAST_MS);
  }

  // --- Colours ----------------------------------------------------------------------------------

  function showTheme() {
    const current = document.documentElement.dataset.theme || "auto";
    for (const button of all("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === current));
    }
  }

  function setTheme(theme) {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem("maild.theme", theme);
    } catch {
      // It holds for this page, then.
    }
    showTheme();
  }

  // --- Copying ----------------------------------------------------------------------------------

  async function copy(button) {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      toast("The browser does not allow copying here.", "bad");
      return;
    }
    button.classList.add("copied");
    setTimeout(() => button.classList.remove("copied"), 1500);
    toast("Copied");
  }

  // --- Relative times, in the words of maild/web/filters.py -------------------------------------

  function coarse(seconds) {
    for (const [unit, length] of [["d", 86400], ["h", 3600], ["m", 60]]) {
      if (seconds >= length) return `${Math.floor(seconds / length)} ${unit}`;
    }
    return `${seconds} s`;
  }

  function relative(at, now) {
    const seconds = Math.trunc((now - at) / 1000);
    if (Math.abs(seconds) > 30 * 86400) return new Date(at).toISOString().slice(0, 10);
    if (Math.abs(seconds) < 2) return "just now";
    return seconds > 0 ? `${coarse(seconds)} ago` : `in ${coarse(-seconds)}`;
  }

  function tick() {
    const now = Date.now();
    for (const time of all("time[data-relative]")) {
      const text = relative(Date.parse(time.dateTime), now);
      if (time.textContent !== text) time.textContent = text;
    }
  }

  // --- Live: pause, hidden tabs, and a table that does not grow without end ---------------------

  let isPaused = false;

  function showLive() {
    for (const button of all("[data-live-toggle]")) button.setAttribute("aria-pressed", String(isPaused));
    for (const word of all("[data-live-word]")) word.textContent = isPaused ? "Paused" : "Live";
    document.documentElement.classList.toggle("is-paused", isPaused);
  }

  const isPoll = (element) => (element.getAttribute("hx-trigger") || "").startsWith("every");

  function trimRows() {
    const rows = all("#log-rows tr.message");
    if (rows.length <= ROWS_MAX) return;
    for (const row of rows.slice(ROWS_MAX)) row.remove();
    // The older page begins below the last row that is left.
    const last = rows[ROWS_MAX - 1];
    let older = one(".pager [rel=next]");
    if (!older) {
      older = document.createElement("a");
      older.className = "button";
      older.rel = "next";
      older.textContent = "Older";
      one(".pager").append(older);
    }
    const query = new URLSearchParams(location.search);
    query.delete("newer_than");
    query.set("older_than", last.dataset.cursor);
    older.href = `?${query}`;
  }

  document.addEventListener("htmx:configRequest", (event) => {
    const { formData, verb } = event.detail;
    if (verb !== "get") return;
    for (const name of new Set(formData.keys())) {
      const values = formData.getAll(name).filter(Boolean); // the URL names what is asked for, no more
      formData.delete(name);
      for (const value of values.slice(0, WATCH_MAX)) formData.append(name, value);
    }
  });

  document.addEventListener("htmx:beforeRequest", (event) => {
    const element = event.detail.elt;
    if (!isPoll(element)) return;
    if (document.hidden || (isPaused && element.id === "live")) event.preventDefault();
  });

  document.addEventListener("htmx:afterSettle", () => {
    trimRows();
    showLive();
    tick();
  });

  // --- Trouble with the server: say it once, and say when it is over ----------------------------

  let isAway = false;

  document.addEventListener("htmx:sendError", () => {
    if (isAway) return;
    isAway = true;
    document.documentElement.classList.add("is-away");
    toast("maild does not answer. This page shows what was known last, and keeps trying.", "bad");
  });

  document.addEventListener("htmx:responseError", (event) => {
    const { xhr } = event.detail;
    const isText = (xhr.getResponseHeader("Content-Type") || "").startsWith("text/plain");
    toast(isText ? xhr.responseText : `maild answered with an error (${xhr.status}).`, "bad");
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    if (!isAway || !event.detail.successful) return;
    isAway = false;
    document.documentElement.classList.remove("is-away");
    toast("maild answers again.");
  });

  // --- Keys -------------------------------------------------------------------------------------

  function moveRow(step) {
    const links = all("a.row-link");
    if (!links.length) return;
    const current = links.indexOf(document.activeElement);
    const next = current < 0 ? 0 : Math.min(Math.max(current + step, 0), links.length - 1);
    links[next].focus();
  }

  const KEYS = {
    "/": () => { const field = one("#q"); field?.focus(); field?.select(); },
    j: () => moveRow(1),
    k: () => moveRow(-1),
    o: () => { if (document.activeElement.matches("a.row-link")) document.activeElement.click(); },
    "?": () => one("#help")?.showModal(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || one("dialog[open]")) return;
    if (event.key === "Escape" && event.target.matches("#q")) event.target.blur();
    if (event.target.matches("input, select, textarea")) return;
    const act = KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  // --- Clicks -----------------------------------------------------------------------------------

  document.addEventListener("click", (event) => {
    const row = event.target.closest("tr.message");
    if (row && !event.target.closest("a")) row.querySelector("a.row-link").click(); // a time, an error
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.themeChoice) setTheme(button.dataset.themeChoice);
    if (button.dataset.copy) copy(button);
    if ("help" in button.dataset) one("#help").showModal();
    if ("liveToggle" in button.dataset) {
      isPaused = !isPaused;
      showLive();
    }
  });

  showTheme();
  showLive();
  setInterval(tick, TICK_MS);
})();
