// Choosing contacts: all of a page at once; and who is chosen stays so when the list comes anew.
(() => {
  "use strict";

  let chosen = new Set();
  const boxes = () => [...document.querySelectorAll("#list input[name=id]")];
  const isList = (event) => event.detail.target.id === "list";

  function showAll() {
    const all = document.querySelector("[data-choose-contacts]");
    if (!all) return;
    const count = boxes().filter((box) => box.checked).length;
    all.checked = count > 0 && count === boxes().length;
    all.indeterminate = count > 0 && count < boxes().length;
  }

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-choose-contacts]")) {
      for (const box of boxes()) box.checked = event.target.checked;
    }
    showAll();
  });

  document.addEventListener("htmx:beforeSwap", (event) => {
    if (isList(event)) chosen = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
  });

  document.addEventListener("htmx:afterSettle", () => {
    for (const box of boxes()) if (chosen.has(box.value)) box.checked = true;
    chosen = new Set();
    showAll();
  });
})();
