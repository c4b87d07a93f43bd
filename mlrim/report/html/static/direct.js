"use strict";
// Puts the page of a direct prediction together: charts, sorting, downloads.

mlrim.start = () => {
  const data = mlrim.embedded("data-page");
  document.querySelectorAll("table.sortable").forEach(mlrim.makeSortable);
  mlrim.connectDownloads(data);
  mlrim.drawCharts(data);
};

mlrim.start();
