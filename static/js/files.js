// Files: dropping one on its field, and forms whose answer is a download, after which the page stays.
(() => {
  "use strict";

  const DOWNLOAD_MS = 1500; // until the same may be asked for again

  const zoneOf = (event) => event.target.closest?.("[data-drop]");
  const hasFiles = (event) => [...(event.dataTransfer?.types || [])].includes("Files");

  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event) || !document.querySelector("[data-drop]")) return;
    event.preventDefault(); // beside the field as well, or the browser would leave the page for the file
    const zone = zoneOf(event);
    event.dataTransfer.dropEffect = zone ? "copy" : "none";
    zone?.classList.add("is-over");
  });

  document.addEventListener("dragleave", (event) => {
    const zone = zoneOf(event);
    if (zone && !zone.contains(event.relatedTarget)) zone.classList.remove("is-over");
  });

  document.addEventListener("drop", (event) => {
    if (!hasFiles(event) || !document.querySelector("[data-drop]")) return;
    event.preventDefault();
    const zone = zoneOf(event);
    zone?.classList.remove("is-over");
    const input = zone?.querySelector("input[type=file]");
    if (!input || !event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    input.focus();
  });

  document.addEventListener("submit", (event) => {
    const reading = event.target.querySelector("[data-reading]");
    if (reading && !event.defaultPrevented) reading.hidden = false;
    if (!("download" in event.target.dataset)) return;
    setTimeout(() => { event.target.ariaBusy = null; }, DOWNLOAD_MS);
  });

  addEventListener("pageshow", () => {
    for (const reading of document.querySelectorAll("[data-reading]")) reading.hidden = true; // back again
  });
})();
