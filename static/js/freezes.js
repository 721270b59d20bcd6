// Opens the form of a freeze over the page that it was asked for from. Without it, the form is a page.
(() => {
  "use strict";

  const slot = () => document.getElementById("freeze-slot");

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target !== slot()) return;
    const dialog = slot().querySelector("dialog");
    if (!dialog) return;
    dialog.showModal();
    dialog.querySelector("[autofocus]")?.focus();
  });

  document.addEventListener("close", (event) => {
    if (event.target.parentElement === slot()) slot().replaceChildren();
  }, true); // it does not bubble
})();
