// Drags SMTP accounts to another place in the line. The buttons beside them do the same without it.
(() => {
  "use strict";

  let dragged = null;
  let origin = null; // what stood behind it

  const places = () => [...document.querySelectorAll("#providers [data-place]")];

  // Only the grip begins a drag: text in the card can still be selected.
  document.addEventListener("pointerdown", (event) => {
    const card = event.target.closest("[data-grip]")?.closest("[data-place]");
    for (const one of places()) one.draggable = one === card;
  });

  document.addEventListener("dragstart", (event) => {
    dragged = event.target.closest?.("[data-place]");
    if (!dragged) return;
    origin = dragged.nextElementSibling;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", dragged.id);
    dragged.classList.add("is-dragged");
  });

  document.addEventListener("dragover", (event) => {
    const card = event.target.closest?.("[data-place]");
    if (!dragged || !card) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "move";
    if (card === dragged) return;
    const { top, height } = card.getBoundingClientRect();
    if (event.clientY < top + height / 2) card.before(dragged);
    else card.after(dragged);
  });

  document.addEventListener("drop", (event) => {
    if (!dragged) return;
    event.preventDefault();
    const place = places().indexOf(dragged) + 1;
    if (String(place) === dragged.dataset.place) return;
    const form = dragged.querySelector(".provider-moves form");
    form.elements.place.value = place;
    origin = undefined; // it stays where it was dropped, and the next page agrees
    form.submit();
  });

  document.addEventListener("dragend", () => {
    if (!dragged) return;
    dragged.classList.remove("is-dragged");
    if (origin !== undefined) dragged.parentElement.insertBefore(dragged, origin); // dropped nowhere
    dragged = null;
  });

  // A poll takes nothing away while it is dragged.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (dragged && event.detail.target.id === "providers") event.preventDefault();
  });
})();
