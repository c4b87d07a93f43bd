"use strict";
// Tables whose head cells carry data-sort ("number" or "text") sort by a click on the head or by the keyboard.

mlrim.makeSortable = (table) => {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (!head.dataset.sort) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      mlrim.sortRows(table.tBodies[0], column, head.dataset.sort, ascending);
    });
  });
};

/** Sort rows by one column; cells without a value go last. */
mlrim.sortRows = (body, column, kind, ascending) => {
  const sign = ascending ? 1 : -1;
  const key = (row) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    if (kind === "text") return text;
    return text === "" ? NaN : Number(text);
  };
  const compare = (a, b) => {
    if (kind === "text") return sign * a.localeCompare(b, "en", { numeric: true });
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
    return sign * (a - b);
  };
  const rows = [...body.rows].map((row) => [key(row), row]);
  rows.sort((a, b) => compare(a[0], b[0]));
  body.append(...rows.map(([, row]) => row));
};

/** An input that hides the rows which do not contain its text. */
mlrim.makeFilter = (input, body, counter) => {
  const apply = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of body.rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    counter.textContent = `${shown} of ${body.rows.length}`;
  };
  input.addEventListener("input", apply);
  apply();
};
