// The reference of the API: the contents fold on small screens, and a word finds operations.
(() => {
  const contents = document.querySelector(".ref-nav details");
  if (matchMedia("(max-width: 820px)").matches) contents.open = false;

  const nav = document.querySelector(".ref-nav");
  const current = nav.querySelector("[aria-current]");
  if (current) nav.scrollTop = current.offsetTop - nav.clientHeight / 3;

  const input = document.getElementById("find");
  const found = document.getElementById("found");

  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const one of document.querySelectorAll("[data-words]")) {
      one.hidden = !words.every((word) => one.dataset.words.includes(word));
      if (!one.hidden) count += 1;
    }
    for (const chapter of document.querySelectorAll("[data-chapter]")) {
      chapter.hidden = !chapter.querySelector("[data-words]:not([hidden])");
    }
    found.textContent = words.length ? (count === 1 ? "1 operation" : `${count} operations`) : "";
    if (words.length) contents.open = true;
  };

  input.addEventListener("input", show);

  // They are switched off in the console (maild.js).
  const hasKeys = () => {
    try {
      return localStorage.getItem("maild.keys") !== "off";
    } catch {
      return true;
    }
  };

  document.addEventListener("keydown", (event) => {
    const typing = /^(input|textarea|select)$/i.test(event.target.localName ?? "");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey && hasKeys()) {
      event.preventDefault();
      input.focus();
    } else if (event.key === "Escape" && event.target === input) {
      input.value = "";
      show();
    }
  });
})();
