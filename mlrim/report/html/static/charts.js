"use strict";
// Line charts (plotly) in the colours of the page.

mlrim.PALETTES = {
  light: ["#2f6db3", "#d1495b", "#2e9e74", "#8661c1", "#d9870b", "#1f9fb0", "#7d7d7d"],
  dark: ["#6aa9f0", "#f2788a", "#5cc79c", "#b394ea", "#f0b04c", "#56c7d6", "#b0b0b0"],
};

mlrim.colour = (index) => {
  const printing = document.documentElement.classList.contains("printing");
  const dark = !printing && matchMedia("(prefers-color-scheme: dark)").matches;
  const palette = mlrim.PALETTES[dark ? "dark" : "light"];
  return palette[index % palette.length];
};

mlrim.theme = () => {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  return { text: colour("--text"), quiet: colour("--quiet"), grid: colour("--line"), paper: colour("--card") };
};

mlrim.baseLayout = () => {
  const theme = mlrim.theme();
  const touch = matchMedia("(pointer: coarse)").matches;
  return {
    font: { family: "system-ui, 'Segoe UI', Roboto, 'Noto Sans', sans-serif", size: 13, color: theme.text },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 62, r: 12, t: 8, b: 46 },
    hoverlabel: { bgcolor: theme.paper, bordercolor: theme.grid, font: { color: theme.text } },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: theme.quiet, activecolor: theme.text, orientation: "v" },
    dragmode: touch ? false : "zoom",
    hovermode: "closest",
  };
};

mlrim.axis = (title, extra = {}) => {
  const theme = mlrim.theme();
  return {
    title: { text: title, standoff: 8 },
    gridcolor: theme.grid,
    linecolor: theme.quiet,
    zeroline: false,
    showline: true,
    mirror: true,
    ticks: "outside",
    tickcolor: theme.quiet,
    ticklen: 4,
    ...extra,
  };
};

mlrim.chartConfig = (filename) => ({
  responsive: true,
  displaylogo: false,
  displayModeBar: matchMedia("(hover: hover)").matches ? "hover" : false,
  showSendToCloud: false, // nothing leaves the page
  plotlyServerURL: "",
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
  toImageButtonOptions: { format: "svg", filename },
});

/** One chart of the page's list: curves of a table against one of its columns. */
mlrim.lineChart = (chart, data) => {
  const table = data.tables[chart.table];
  const power = mlrim.powerOfTen(chart.lines.map(({ column }) => table[column]));
  const traces = chart.lines.map((line, index) => ({
    type: "scatter",
    mode: "lines",
    name: line.label,
    x: table[chart.x],
    y: mlrim.scaled(table[line.column], power),
    line: { color: mlrim.lineColour(chart, index), width: 2, dash: line.dashed ? "dot" : "solid" },
    hovertemplate: `%{x:.4~g}, %{y:.4~g}<extra>${line.label}</extra>`,
  }));
  const layout = {
    ...mlrim.baseLayout(),
    xaxis: mlrim.axis(chart.x_title, mlrim.shownRange(chart, table[chart.x])),
    yaxis: mlrim.axis(power ? `10<sup>${power}</sup> ${chart.y_title}`.replace("-", "−") : chart.y_title),
    showlegend: chart.lines.length > 1,
  };
  if (chart.level) mlrim.addLevel(layout, ...chart.level);
  return [traces, layout];
};

/** The part of the abscissa that is shown; all of it unless the chart says otherwise. */
mlrim.shownRange = ({ start, stop }, values) =>
  start === null && stop === null ? {} : { range: [start ?? values[0], stop ?? values.at(-1)] };

/** The power of ten that is taken out of very small or large numbers; zero for others. */
mlrim.powerOfTen = (columns) => {
  const largest = columns.flat().reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const power = largest > 0 ? Math.floor(Math.log10(largest)) : 0;
  return Math.abs(power) > 4 ? power : 0;
};

mlrim.scaled = (values, power) => (power ? values.map((value) => value / 10 ** power) : values);

/** Dashed curves have the colour of the solid ones in the same order. */
mlrim.lineColour = ({ lines }, index) => {
  const before = lines.slice(0, index).filter(({ dashed }) => dashed === lines[index].dashed).length;
  const parallel = lines.filter(({ dashed }) => dashed).length * 2 === lines.length;
  return mlrim.colour(parallel ? before : index);
};

mlrim.addLevel = (layout, height, label) => {
  const quiet = mlrim.theme().quiet;
  const line = { color: quiet, width: 1, dash: "dash" };
  layout.shapes = [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: height, y1: height, line }];
  const text = { text: label, showarrow: false, font: { color: quiet, size: 12 } };
  layout.annotations = [{ xref: "paper", x: 0.01, xanchor: "left", y: height, yanchor: "bottom", ...text }];
};

/** Draws every chart, again in other colours when the theme changes, and at the width of paper for printing. */
mlrim.drawCharts = (data) => {
  const figures = data.charts.map((chart) => [chart.name, () => mlrim.lineChart(chart, data)]);
  if (data.tables.bands) figures.push(["dispersion", () => mlrim.dispersionChart(data)]);
  const elements = figures.map(([name, make]) => [document.getElementById(`chart-${name}`), make, name]);
  const draw = () => elements.forEach(([element, make, name]) => {
    Plotly.react(element, ...make(), mlrim.chartConfig(`${data.name}_${name}`));
  });
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  mlrim.redrawForPrint(elements.map(([element]) => element), draw);
};

mlrim.PRINT_WIDTH = 680; // pixels across the paper

/** Half the width of the paper for charts that stand side by side. */
mlrim.printSize = (element) => {
  const figure = element.closest("figure");
  const alone = !figure.parentElement.classList.contains("pair") || mlrim.spansColumns(figure);
  return { width: alone ? mlrim.PRINT_WIDTH : mlrim.PRINT_WIDTH / 2 - 8, height: element.matches(".tall") ? 380 : 250 };
};

mlrim.spansColumns = (figure) => getComputedStyle(figure).gridColumnEnd === "-1";

mlrim.redrawForPrint = (elements, restore) => {
  addEventListener("beforeprint", () => {
    document.documentElement.classList.add("printing");
    restore();
    elements.forEach((element) => Plotly.relayout(element, { ...mlrim.printSize(element), autosize: false }));
  });
  addEventListener("afterprint", () => {
    document.documentElement.classList.remove("printing");
    restore();
    elements.forEach((element) => Plotly.relayout(element, { width: null, height: null, autosize: true }));
  });
};
