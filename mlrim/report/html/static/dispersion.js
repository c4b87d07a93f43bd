"use strict";
// Bands along the path beside the density of states; a click on a band asks for the animation of that mode.

mlrim.THZ_TO_CM1 = 33.3564095198152;

mlrim.dispersionChart = (data) => {
  const ticks = mlrim.pathTicks(data);
  const theme = mlrim.theme();
  const distances = data.tables.bands.distance_per_angstrom;
  const narrow = innerWidth < 600;
  const boundary = { color: theme.quiet, width: 1 };
  const layout = {
    ...mlrim.baseLayout(),
    xaxis: mlrim.axis("", {
      domain: [0, 0.77], range: [distances[0], distances.at(-1)], tickvals: ticks.positions, ticktext: ticks.labels,
      showgrid: false, tickangle: 0,
    }),
    yaxis: mlrim.axis("frequency (cm⁻¹)", { range: mlrim.bandRange(data) }),
    xaxis2: mlrim.axis(narrow ? "DOS" : "states per cm⁻¹", {
      domain: [0.79, 1], rangemode: "tozero", anchor: "y2", nticks: narrow ? 2 : 4, tickangle: 0,
    }),
    yaxis2: mlrim.axis("", { matches: "y", anchor: "x2", showticklabels: false, ticks: "" }),
    shapes: ticks.positions.slice(1, -1).map((x) => ({ type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line: boundary })),
    legend: { orientation: "h", x: 1, xanchor: "right", y: 1.02, yanchor: "bottom" },
  };
  layout.shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: 0, y1: 0, line: { ...boundary, dash: "dot" } });
  return [[...mlrim.bandTraces(data), ...mlrim.dosTraces(data), mlrim.markTrace()], layout];
};

/** All bands with a small margin, from zero where no mode is imaginary. */
mlrim.bandRange = ({ tables: { bands } }) => {
  const values = mlrim.bandKeys(bands).flatMap((key) => bands[key]);
  const extreme = (choose) => mlrim.THZ_TO_CM1 * values.reduce((a, b) => choose(a, b), 0);
  const [low, high] = [extreme(Math.min), extreme(Math.max)];
  const margin = 0.04 * (high - low);
  return [low < -1 ? low - margin : 0, high + margin];
};

mlrim.bandKeys = (bands) => Object.keys(bands).filter((key) => /^band_\d+_thz$/.test(key));

mlrim.NEAREST_LABELS = 0.02; // share of the path below which the names of two points stand together

/** Ends of segments and their names, joined where two segments meet and where points lie close together. */
mlrim.pathTicks = ({ segments, labels, tables }) => {
  const distances = tables.bands.distance_per_angstrom;
  const positions = [distances[0]];
  const names = [labels[0][0]];
  segments.forEach(([, stop], index) => {
    const name = labels[index][1];
    const next = labels[index + 1]?.[0] ?? name;
    const both = name === next ? name : `${name}|${next}`;
    if (distances[stop - 1] - positions.at(-1) < mlrim.NEAREST_LABELS * distances.at(-1)) {
      names.push(`${names.pop()}|${both}`);
    } else {
      positions.push(distances[stop - 1]);
      names.push(both);
    }
  });
  return { positions, labels: names };
};

/** One trace for every band, interrupted between segments; customdata holds the index of the wave vector. */
mlrim.bandTraces = ({ segments, tables: { bands } }) => {
  const broken = (values) => segments.flatMap(([start, stop]) => [...values.slice(start, stop), null]);
  const indices = bands.distance_per_angstrom.map((_, index) => index);
  const x = broken(bands.distance_per_angstrom);
  const width = mlrim.bandKeys(bands).length > 60 ? 0.9 : 1.6;
  return mlrim.bandKeys(bands).map((key, band) => {
    const y = broken(bands[key].map((value) => value * mlrim.THZ_TO_CM1));
    return {
      type: "scatter",
      mode: "lines",
      x,
      y,
      customdata: broken(indices),
      text: y.map((value) => (value === null ? "" : mlrim.frequency(value))),
      meta: band,
      line: { color: mlrim.colour(0), width },
      hovertemplate: `%{text} cm⁻¹<extra>band ${band + 1}</extra>`,
      showlegend: false,
    };
  });
};

mlrim.dosTraces = ({ elements, tables: { dos } }) => {
  const y = dos.frequency_cm1;
  const perCm1 = (values) => values.map((value) => value / mlrim.THZ_TO_CM1);
  const common = { type: "scatter", mode: "lines", y, xaxis: "x2", yaxis: "y2" };
  const total = {
    ...common,
    name: "total",
    x: perCm1(dos.total_per_thz),
    line: { color: mlrim.theme().text, width: 1.2 },
    hovertemplate: "%{y:.0f} cm⁻¹, %{x:.3f}<extra>total</extra>",
  };
  const parts = elements.map((element, index) => {
    const colour = mlrim.colour(index + 1);
    return {
      ...common,
      name: element,
      x: perCm1(dos[`${element}_per_thz`]),
      fill: "tozerox",
      fillcolor: `${colour}55`,
      line: { color: colour, width: 1.2 },
      hovertemplate: `%{y:.0f} cm⁻¹, %{x:.3f}<extra>${element}</extra>`,
    };
  });
  return [...parts, total];
};

/** The mark of the mode in motion; the last trace. */
mlrim.markTrace = () => ({
  type: "scatter",
  mode: "markers",
  x: [],
  y: [],
  marker: { size: 11, color: mlrim.colour(1), line: { color: mlrim.theme().paper, width: 2 } },
  hoverinfo: "skip",
  showlegend: false,
});

/** Marks a mode of the path; without one, none. */
mlrim.markBand = ({ tables: { bands } }, qIndex, band) => {
  const chart = document.getElementById("chart-dispersion");
  const x = qIndex === undefined ? [] : [bands.distance_per_angstrom[qIndex]];
  const y = qIndex === undefined ? [] : [bands[mlrim.bandKeys(bands)[band]][qIndex] * mlrim.THZ_TO_CM1];
  Plotly.restyle(chart, { x: [x], y: [y] }, [chart.data.length - 1]);
};

/** Calls back with the index of the wave vector and of the band that was clicked. */
mlrim.onBandClick = (callback) => {
  document.getElementById("chart-dispersion").on("plotly_click", ({ points }) => {
    const point = points.find(({ data }) => Number.isInteger(data.meta));
    if (point) callback(point.customdata, point.data.meta);
  });
};
