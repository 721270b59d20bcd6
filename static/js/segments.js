// The builder of segments draws its rules anew when somebody chooses a field or an operator. What they
// have typed meanwhile, while the answer was on its way, stays. Without this it has to be typed again.
(() => {
  "use strict";

  const isBuilder = (event) => event.detail.target.id === "builder";

  let typed = []; // since the rules were sent

  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!isBuilder(event)) return;
    const sent = event.detail.requestConfig.formData;
    const isMoved = String(sent.get("act")).startsWith("remove:"); // the others have other places then
    const fields = isMoved ? [] : [...event.detail.target.querySelectorAll("[name]:not(button)")];
    typed = fields.filter((field) => field.value !== sent.get(field.name)).map(({ id, value }) => [id, value]);
  });

  document.addEventListener("htmx:afterSettle", (event) => {
    if (!isBuilder(event)) return;
    for (const [id, value] of typed.splice(0)) {
      const field = document.getElementById(id);
      const drawn = field?.value;
      if (drawn === undefined) continue;
      field.value = value;
      if (field.value !== value) { // a choice that is none any more
        field.value = drawn;
        continue;
      }
      for (const name of ["input", "change"]) field.dispatchEvent(new Event(name, { bubbles: true }));
    }
  });
})();
