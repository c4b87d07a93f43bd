"use strict";
// Bands along the path beside the density of states; a click on a band asks for the animation of that mode.

mlrim.THZ_TO_CM1 = 33.3564095198152;

mlrim.dispersionChart = (data) => {
  const ticks = mlrim.pathTicks(data);
  const theme = mlrim.theme();
  const distances = data.tables.bands.distance_per_angstrom;
  const boundary = { color: theme.quiet, width: 1 };
  const layout = {
    ...mlrim.baseLayout(),
    xaxis: mlrim.axis("", {
      domain: [0, 0.77], range: [distances[0], distances.at(-1)], tickvals: ticks.positions, ticktext: ticks.labels,
      showgrid: false,
    }),
    yaxis: mlrim.axis("frequency (cm⁻¹)"),
    xaxis2: mlrim.axis("states per cm⁻¹", { domain: [0.79, 1], rangemode: "tozero", anchor: "y", nticks: 4 }),
    shapes: ticks.positions.slice(1, -1).map((x) => ({ type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line: boundary })),
    legend: { orientation: "h", x: 1, xanchor: "right", y: 1.02, yanchor: "bottom" },
  };
  layout.shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: 0, y1: 0, line: { ...boundary, dash: "dot" } });
  return [[...mlrim.bandTraces(data), ...mlrim.dosTraces(data)], layout];
};

/** Ends of segments and their names, joined where two segments meet. */
mlrim.pathTicks = ({ segments, labels, tables }) => {
  const distances = tables.bands.distance_per_angstrom;
  const positions = [distances[0]];
  const names = [labels[0][0]];
  segments.forEach(([, stop], index) => {
    const name = labels[index][1];
    const next = labels[index + 1]?.[0] ?? name;
    positions.push(distances[stop - 1]);
    names.push(name === next ? name : `${name}|${next}`);
  });
  return { positions, labels: names };
};

/** One trace for every band, interrupted between segments; customdata holds the index of the wave vector. */
mlrim.bandTraces = ({ segments, tables: { bands } }) => {
  const keys = Object.keys(bands).filter((key) => /^band_\d+_thz$/.test(key));
  const broken = (values) => segments.flatMap(([start, stop]) => [...values.slice(start, stop), null]);
  const indices = bands.distance_per_angstrom.map((_, index) => index);
  const x = broken(bands.distance_per_angstrom);
  return keys.map((key, band) => {
    const y = broken(bands[key].map((value) => value * mlrim.THZ_TO_CM1));
    return {
      type: "scatter",
      mode: "lines",
      x,
      y,
      customdata: broken(indices),
      text: y.map((value) => (value === null ? "" : mlrim.frequency(value))),
      meta: band,
      line: { color: mlrim.PALETTE[0], width: 1.6 },
      hovertemplate: `%{text} cm⁻¹<extra>band ${band + 1}</extra>`,
      showlegend: false,
    };
  });
};

mlrim.dosTraces = ({ elements, tables: { dos } }) => {
  const y = dos.frequency_cm1;
  const perCm1 = (values) => values.map((value) => value / mlrim.THZ_TO_CM1);
  const common = { type: "scatter", mode: "lines", y, xaxis: "x2" };
  const total = {
    ...common,
    name: "total",
    x: perCm1(dos.total_per_thz),
    line: { color: mlrim.theme().text, width: 1.2 },
    hovertemplate: "%{y:.0f} cm⁻¹, %{x:.3f}<extra>total</extra>",
  };
  const parts = elements.map((element, index) => {
    const colour = mlrim.PALETTE[(index + 1) % mlrim.PALETTE.length];
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

/** Calls back with the index of the wave vector and of the band that was clicked. */
mlrim.onBandClick = (callback) => {
  document.getElementById("chart-dispersion").on("plotly_click", ({ points }) => {
    const point = points.find(({ data }) => Number.isInteger(data.meta));
    if (point) callback(point.customdata, point.data.meta);
  });
};
