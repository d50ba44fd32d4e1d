"use strict";
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  const key = (row, at, words) => {
    const text = row.cells[at].textContent;
    if (words) return text.toLowerCase();
    const found = text.replace(/,(?=\d{3})/g, "").match(/[-+]?\d*\.?\d+/);
    return found ? Number(found[0]) : null;
  };
  heads.forEach((head, at) => {
    const words = at === 0 || head.classList.contains("t");
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const down = before ? before === "ascending" : !words;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keyed = [...body.rows].map((row) => [key(row, at, words), row]);
      const order = (a, b) => (words ? a.localeCompare(b, undefined, { numeric: true }) : a - b);
      keyed.sort(([a], [b]) =>
        a === null || b === null ? (a === null) - (b === null) : down ? order(b, a) : order(a, b));
      body.append(...keyed.map(([, row]) => row));
    });
  });
}
const unfold = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const around = target && target.closest("details");
  if (around) {
    around.open = true;
    target.scrollIntoView();
  }
};
addEventListener("hashchange", unfold);
unfold();
