// What somebody has unfolded in a part of a page stays so when a poll puts another one in its place.
// It is known by its id. Without this it folds; nothing is lost.
(() => {
  "use strict";

  let ids = [];

  document.addEventListener("htmx:beforeSwap", (event) => {
    ids = [...event.detail.target.querySelectorAll("details[id][open]")].map((details) => details.id);
  });

  document.addEventListener("htmx:afterSwap", () => {
    for (const id of ids.splice(0)) {
      const details = document.getElementById(id);
      if (details) details.open = true;
    }
  });
})();
