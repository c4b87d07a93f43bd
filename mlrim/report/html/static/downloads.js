"use strict";
// Files made in the page from the data that it carries.

/** Columns (an object of arrays) as comma-separated values. */
mlrim.csv = (columns) => {
  const quote = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const headers = Object.keys(columns);
  const length = Math.max(0, ...headers.map((header) => columns[header].length));
  const lines = [headers.map(quote).join(",")];
  for (let row = 0; row < length; row += 1) {
    lines.push(headers.map((header) => quote(columns[header][row])).join(","));
  }
  return `${lines.join("\n")}\n`;
};

mlrim.save = (name, content, type) => {
  const url = content instanceof Blob || !String(content).startsWith("data:")
    ? URL.createObjectURL(new Blob([content], { type }))
    : content;
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  if (url.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(url), 10_000);
};

/** Buttons with data-csv (name of a table) or data-json (id of a data element) save files. */
mlrim.connectDownloads = (data) => {
  const prefix = data.name.replace(/[^\w.-]+/g, "_");
  for (const button of document.querySelectorAll("button[data-csv]")) {
    const name = button.dataset.csv;
    button.addEventListener("click", () => mlrim.save(`${prefix}_${name}.csv`, mlrim.csv(data.tables[name]), "text/csv"));
  }
  for (const button of document.querySelectorAll("button[data-json]")) {
    const text = document.getElementById(button.dataset.json).textContent;
    const save = () => mlrim.save(`${prefix}.json`, JSON.stringify(JSON.parse(text), null, 1), "application/json");
    button.addEventListener("click", save);
  }
};
