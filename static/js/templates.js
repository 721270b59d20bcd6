// The composer: merge fields go where the cursor is, and a preview that has loaded takes the place of
// the one before, so that nothing flickers. Without it the fields are there to read, and previews too.
(() => {
  "use strict";

  const TAKES_FIELDS = "#subject, #preheader, #source, #source_text";

  let last; // where the cursor was

  document.addEventListener("focusin", (event) => {
    if (event.target.matches(TAKES_FIELDS)) last = event.target;
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-insert]");
    if (!button) return;
    const field = last?.isConnected ? last : document.querySelector("#source_text:focus, #source, #source_text");
    if (!field) return;
    field.focus();
    field.setRangeText(button.dataset.insert, field.selectionStart, field.selectionEnd, "end");
    field.dispatchEvent(new InputEvent("input", { bubbles: true }));
  });

  document.addEventListener("load", (event) => {
    if (!event.target.matches?.("iframe.mail")) return;
    event.target.classList.remove("is-coming");
    while (event.target.previousElementSibling?.matches("iframe.mail")) event.target.previousElementSibling.remove();
  }, true); // it does not bubble
})();
