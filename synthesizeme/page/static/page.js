// Keys that reach the buttons, forms that are sent once, counts that stay up to date. All works without.
"use strict";

const LEAST_MS = 250; // a second click of a double click belongs to the page before
const shownAt = performance.now();

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest("input, textarea, select, summary")) return;
  const free = event.key !== "Enter" || event.target === document.body || event.target.id === "main";
  const button = free && document.querySelector(`button[data-key="${CSS.escape(event.key)}"]`);
  if (!button) return;
  event.preventDefault();
  if (event.key === "Enter") button.click();
  else {
    button.focus();
    button.scrollIntoView({ block: "nearest" });
  }
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent || performance.now() - shownAt < LEAST_MS) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  document.body.classList.add("sending");
});

// A page that the browser kept (the back button) is as it was: what was sent may be sent again.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

const counted = document.querySelectorAll("[data-count]");
if (counted.length) {
  setInterval(async () => {
    if (document.hidden) return;
    try {
      const counts = await (await fetch("/team/counts")).json();
      for (const place of counted) place.textContent = counts[place.dataset.count];
    } catch {
      // the server is away; the next turn asks again
    }
  }, 3000);
}
