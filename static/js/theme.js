// Before the first paint: the chosen colours, and the mark that scripts run. The rest is in maild.js.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  try {
    const theme = localStorage.getItem("maild.theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  } catch {
    // Storage is blocked: the system's colours it is.
  }
})();
