"use strict";
// The index page: sorting and filtering.

document.querySelectorAll("table.sortable").forEach(mlrim.makeSortable);
mlrim.makeFilter(
  document.getElementById("filter"),
  document.querySelector("#index-table tbody"),
  document.getElementById("count"),
);
