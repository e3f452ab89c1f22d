// A click on a heading sorts its table: numbers by their value, text by its letters.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const value = (row, n) => {
    const cell = row.cells[n], text = cell.dataset.value ?? cell.textContent;
    const number = parseFloat(text);
    return Number.isNaN(number) ? text : number;
  };
  [...table.tHead.rows[0].cells].forEach((heading, n) => {
    heading.tabIndex = 0;
    const sort = () => {
      const up = heading.getAttribute("aria-sort") !== "ascending";
      for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...body.rows].sort((first, second) => {
        const [p, q] = [value(first, n), value(second, n)];
        const order = typeof p === "number" && typeof q === "number" ? p - q
          : typeof p !== typeof q ? (typeof p === "number" ? -1 : 1) : p.localeCompare(q);
        return up ? order : -order;
      });
      body.append(...rows);
    };
    heading.onclick = sort;
    heading.onkeydown = (event) => { if (event.key === "Enter") sort(); };
  });
}
