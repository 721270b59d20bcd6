// What htmx does not do: toasts, menus, dialogs, the drawer, colours, copying, ticking times, keys, and
// the manners of the live log. Every page works without it.
(() => {
  "use strict";

  const ROWS_MAX = 500; // a live table keeps this many rows
  const WATCH_MAX = 100; // unfinished rows whose status is asked for again
  const TICK_MS = 1000;
  const TOAST_MS = 10000;
  const CHORD_MS = 1500; // between the two keys of `g l`
  const BUSY_MS = 10000; // a form may be sent again after this, whatever came of it

  const all = (selector) => [...document.querySelectorAll(selector)];
  const one = (selector) => document.querySelector(selector);

  // --- Toasts -----------------------------------------------------------------------------------

  // A toast goes by itself, but for one that can be undone or tells of trouble: that stays until somebody
  // has seen it. While a pointer or the focus is on it, none goes.
  function arm(box) {
    if (box.matches(".bad") || box.querySelector("form")) return;
    let timer;
    const start = () => { timer = setTimeout(() => box.remove(), TOAST_MS); };
    for (const name of ["pointerenter", "focusin"]) box.addEventListener(name, () => clearTimeout(timer));
    for (const name of ["pointerleave", "focusout"]) box.addEventListener(name, start);
    start();
  }

  // How much room the page is to leave at its end.
  new ResizeObserver(([box]) => {
    document.documentElement.style.setProperty("--toasts-height", `${box.contentRect.height}px`);
  }).observe(one("#toasts"));

  let spoken; // one at a time of what scripts say

  function toast(text, kind = "info") {
    const box = one("#toast").content.firstElementChild.cloneNode(true);
    box.classList.replace("info", kind);
    box.querySelector("p").textContent = text;
    spoken?.remove();
    spoken = box;
    one("#toasts").append(box);
    arm(box);
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

  // --- Passwords --------------------------------------------------------------------------------

  function reveal(button) {
    const field = document.getElementById(button.dataset.reveal);
    const isShown = field.type === "password";
    field.type = isShown ? "text" : "password";
    button.textContent = isShown ? "Hide" : "Show";
    button.setAttribute("aria-label", `${button.textContent} the password`);
  }

  // --- Menus, dialogs, the drawer ---------------------------------------------------------------

  function closeMenus(except) {
    const open = all("details.menu[open]").filter((menu) => menu !== except);
    for (const menu of open) menu.open = false;
    return open;
  }

  // The <dialog> of a <details> is part of the page until now, and lies over it from now on.
  function openDialog(dialog) {
    const details = dialog.closest("details.opens");
    if (details) details.open = true;
    dialog.removeAttribute("open");
    dialog.showModal();
    const wrong = dialog.querySelector("[aria-invalid=true]");
    (wrong || dialog.querySelector("[autofocus], input:not([type=hidden], [data-keys]), select, textarea"))?.focus();
  }

  function isBehind(dialog, event) {
    const { left, right, top, bottom } = dialog.getBoundingClientRect();
    return event.clientX < left || event.clientX > right || event.clientY < top || event.clientY > bottom;
  }

  document.addEventListener("close", (event) => {
    const details = event.target.closest("details.opens");
    if (details) details.open = false;
  }, true); // it does not bubble

  let opener; // what the drawer was opened from; a poll may have put another one in its place

  function closeDrawer() {
    const drawer = one("#drawer");
    if (!drawer?.firstElementChild) return false;
    const hadFocus = drawer.contains(document.activeElement);
    drawer.replaceChildren();
    if (hadFocus) (document.getElementById(opener?.id) || opener)?.focus();
    return true;
  }

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id !== "drawer") return;
    const from = event.detail.requestConfig.elt;
    if (!one("#drawer").contains(from)) opener = from;
    one("#drawer-title")?.focus();
  });

  // One more press of a button while its form is on the way sends nothing twice.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || event.defaultPrevented) return;
    if (form.ariaBusy === "true") {
      event.preventDefault();
      return;
    }
    form.ariaBusy = "true";
    setTimeout(() => { form.ariaBusy = null; }, BUSY_MS);
  });

  addEventListener("pageshow", () => {
    for (const form of all("form[aria-busy]")) form.ariaBusy = null; // back again
  });

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
    const { waiting, behind } = one("#live")?.dataset ?? {};
    const word = isPaused ? "Paused" : isChoosing() ? "Paused while you choose" : behind === undefined ? "Live" : "Catching up";
    const text = isResting() && waiting !== undefined && waiting !== "0" ? `${word}, ${waiting} new` : word;
    for (const place of all("[data-live-word]")) if (place.textContent !== text) place.textContent = text;
    document.documentElement.classList.toggle("is-paused", isPaused);
    document.documentElement.classList.toggle("is-resting", isResting());
  }

  // Rows that somebody has ticked do not move away from under their hands.
  const isChoosing = () => one("#log-rows input[name=id]:checked") !== null;
  const isResting = () => isPaused || isChoosing();
  const isTail = (element) => element.id === "live" && !element.getAttribute("hx-target");

  function togglePause() {
    if (!one("[data-live-toggle]")) return;
    isPaused = !isPaused;
    showLive();
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
    // A tail that rests asks how many there are, and takes none of them.
    if (isTail(event.detail.elt)) formData.delete("id"); // what is ticked among the rows
    if (isTail(event.detail.elt) && isResting()) formData.set("paused", "1");
    for (const name of new Set(formData.keys())) {
      const values = formData.getAll(name).filter(Boolean); // the URL names what is asked for, no more
      formData.delete(name);
      for (const value of values.slice(0, WATCH_MAX)) formData.append(name, value);
    }
  });

  document.addEventListener("htmx:beforeRequest", (event) => {
    const element = event.detail.elt;
    if (!isPoll(element)) return;
    // Nor is what somebody has open or has chosen there taken away.
    const isInUse = event.detail.target.querySelector("dialog:modal, details.menu[open], input[name=id]:checked");
    const isStill = isPaused && element.id === "live" && !isTail(element);
    if (document.hidden || isInUse || isStill) event.preventDefault();
  });

  // Paused while the answer was on its way: it would bring rows, and is asked for again later.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { elt, requestConfig } = event.detail;
    if (isTail(elt) && isResting() && !requestConfig.formData.has("paused")) event.detail.shouldSwap = false;
  });

  // To what has an id, htmx gives the focus back when a poll has put the page's part anew. Of what has none
  // this looks for the like: the same words, leading to the same place.
  const look = (one) => ["href", "name", "value", "aria-label"].map((name) => one.getAttribute(name)).join() + one.textContent;
  const alike = (place, like) => [...place.querySelectorAll(like.localName)].filter((one) => look(one) === look(like));

  let lost = null; // what had the focus, and the how-manieth of its like it was

  document.addEventListener("htmx:beforeSwap", (event) => {
    const { requestConfig, target, shouldSwap } = event.detail;
    const active = document.activeElement;
    const isAtStake = shouldSwap && isPoll(requestConfig.elt) && target.contains(active) && active !== target && !active.id;
    lost = isAtStake ? { active, place: target.id, index: alike(target, active).indexOf(active) } : null;
  });

  document.addEventListener("htmx:afterSwap", () => {
    const place = lost && document.getElementById(lost.place);
    if (place && document.activeElement === document.body) alike(place, lost.active)[lost.index]?.focus({ preventScroll: true });
    lost = null;
  });

  // htmx says so for each of many rows that came at once: look at the page when all are there.
  let isTidying = false;

  function tidy() {
    if (isTidying) return;
    isTidying = true;
    queueMicrotask(() => {
      isTidying = false;
      trimRows();
      showChosen();
      tick();
    });
  }

  // After the swap, so that rows which are too many are never laid out; and when classes are as they stay.
  document.addEventListener("htmx:afterSwap", tidy);
  document.addEventListener("htmx:afterSettle", tidy);

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
    x: () => document.activeElement.closest("tr.message")?.querySelector("input[name=id]")?.click(),
    " ": togglePause,
    o: () => { if (document.activeElement.matches("a.row-link")) document.activeElement.click(); },
    "?": () => { const help = one("#help"); if (help) openDialog(help); },
  };

  let chordAt = -Infinity; // when `g` was pressed

  // What a single key does can be switched off, for those who talk to their browser, or whose hand
  // slips (WCAG 2.2, 2.1.4). Another tab may have done so since.
  let hasKeys = true;

  function readKeys() {
    try {
      hasKeys = localStorage.getItem("maild.keys") !== "off";
    } catch {
      // It holds for this page, then.
    }
    return hasKeys;
  }

  function showKeys() {
    const isOn = readKeys();
    document.documentElement.classList.toggle("no-keys", !isOn);
    for (const box of all("[data-keys]")) box.checked = isOn;
  }

  function setKeys(isOn) {
    hasKeys = isOn;
    try {
      localStorage.setItem("maild.keys", isOn ? "on" : "off");
    } catch {
      // As above.
    }
    showKeys();
  }

  function escape(event) {
    const menu = closeMenus()[0];
    if (menu) menu.querySelector("summary").focus();
    else if (event.target.matches("#q")) event.target.blur();
    else closeDrawer();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || one("dialog:modal")) return;
    if (event.key === "Escape") escape(event);
    if (!readKeys()) return;
    if (event.target.matches("input:not([type=checkbox]), select, textarea")) return;
    // A space is for what has the focus, where that takes one.
    if (event.key === " " && (event.target.matches("input, button, summary, pre, a:not(.row-link)") || !one("[data-live-toggle]"))) return;
    const isChord = event.timeStamp - chordAt < CHORD_MS;
    chordAt = event.key === "g" ? event.timeStamp : -Infinity;
    const act = isChord ? () => one(`[data-go="${CSS.escape(event.key)}"]`)?.click() : KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  // --- Clicks -----------------------------------------------------------------------------------

  // A click that asks for another tab is the browser's, also on a link that htmx would follow.
  document.addEventListener("click", (event) => {
    const isElsewhere = event.ctrlKey || event.metaKey || event.shiftKey;
    if (isElsewhere && event.target.closest("a[href]")) event.stopPropagation();
  }, true);

  document.addEventListener("click", (event) => {
    closeMenus(event.target.closest("details.menu"));
    const row = event.target.closest("tr.message");
    if (row && !event.target.closest("a, input, .col-choose")) row.querySelector("a.row-link").click(); // a time, an error
    const summary = event.target.closest("details.opens > summary");
    if (summary) {
      event.preventDefault();
      openDialog(summary.nextElementSibling);
    }
    if (event.target.matches("dialog:modal") && isBehind(event.target, event)) event.target.close();
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.themeChoice) setTheme(button.dataset.themeChoice);
    if (button.dataset.copy) copy(button);
    if (button.dataset.reveal) reveal(button);
    if (button.dataset.dialog) openDialog(document.getElementById(button.dataset.dialog));
    if ("close" in button.dataset) button.closest("dialog").close();
    if ("drawerClose" in button.dataset) closeDrawer();
    if ("dismiss" in button.dataset) button.closest("[data-toast]").remove();
    if ("liveToggle" in button.dataset) togglePause();
  });

  // --- Choosing messages ------------------------------------------------------------------------

  function showChosen() {
    const boxes = all("#log-rows input[name=id]");
    const count = boxes.filter((box) => box.checked).length;
    for (const word of all("[data-chosen-words]")) {
      word.textContent = count ? `the ${count} chosen message${count === 1 ? "" : "s"}` : "the chosen messages";
    }
    for (const box of all("[data-choose-all]")) {
      box.checked = count > 0 && count === boxes.length;
      box.indeterminate = count > 0 && count < boxes.length;
    }
    showLive();
  }

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-choose-all]")) {
      // As many as one form takes.
      for (const box of all("#log-rows input[name=id]").slice(0, ROWS_MAX)) box.checked = event.target.checked;
      showChosen();
    } else if (event.target.matches("#log-rows input[name=id]")) showChosen();
    else if (event.target.matches("[data-keys]")) setKeys(event.target.checked);
  });

  document.addEventListener("focusin", (event) => closeMenus(event.target.closest("details.menu")));

  addEventListener("storage", showKeys);

  showTheme();
  showKeys();
  showChosen();
  for (const box of all("[data-toast]")) arm(box);
  if (one("[autofocus]")) one("[aria-invalid=true]")?.focus(); // a form goes on where it is wrong
  for (const dialog of all("details.opens[open] > dialog")) openDialog(dialog); // came back with errors
  setInterval(tick, TICK_MS);
})();
