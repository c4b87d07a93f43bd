"use strict";
// Puts the page together: charts, sorting, downloads, and the animation with its controls.

mlrim.start = () => {
  const data = mlrim.embedded("data-page");
  document.querySelectorAll("table.sortable").forEach(mlrim.makeSortable);
  mlrim.connectDownloads(data);
  mlrim.drawCharts(data);
  if (!mlrim.hasWebGL()) {
    document.getElementById("viewer-message").textContent = "This browser cannot show 3D pictures (WebGL is off).";
    return;
  }
  mlrim.animation = new mlrim.Animation(document.getElementById("viewer"), data.scene.crystal);
  mlrim.connectViewer(mlrim.animation, data);
};

mlrim.hasWebGL = () => {
  const canvas = document.createElement("canvas");
  return Boolean(canvas.getContext("webgl2") ?? canvas.getContext("webgl"));
};

mlrim.connectViewer = (animation, data) => {
  mlrim.connectControls(animation, data);
  mlrim.connectView(animation);
  mlrim.connectModes(animation, data);
};

mlrim.connectControls = (animation, data) => {
  const control = (name) => document.getElementById(`control-${name}`);
  const toggle = control("play");
  const label = () => {
    toggle.textContent = animation.playing ? "Pause" : "Play";
    toggle.setAttribute("aria-pressed", String(animation.playing));
  };
  animation.setPlaying = (playing) => {
    if (playing) animation.play();
    else animation.pause();
    label();
  };
  toggle.addEventListener("click", () => animation.setPlaying(!animation.playing));
  control("amplitude").addEventListener("input", ({ target }) => {
    animation.amplitude = Number(target.value);
    control("amplitude-value").textContent = `${animation.amplitude.toFixed(2)} Å`;
    animation.draw();
  });
  control("speed").addEventListener("input", ({ target }) => {
    animation.speed = Number(target.value);
  });
  control("cells")?.addEventListener("change", ({ target }) => animation.setCells(Number(target.value)));
  control("arrows").addEventListener("change", ({ target }) => {
    animation.arrows = target.checked;
    animation.update();
  });
  control("image").addEventListener("click", () => {
    mlrim.save(`${data.name}_mode.png`, animation.viewer.pngURI(), "image/png");
  });
};

/** The page scrolls over the viewer: zooming takes the control key or the buttons; arrow keys turn the crystal. */
mlrim.connectView = (animation) => {
  const { container, viewer } = animation;
  const zoom = (factor) => {
    viewer.zoom(factor);
    viewer.render();
  };
  container.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) event.stopPropagation();
  }, { capture: true });
  document.getElementById("control-nearer").addEventListener("click", () => zoom(1.2));
  document.getElementById("control-farther").addEventListener("click", () => zoom(1 / 1.2));
  const turns = { ArrowLeft: [-10, "y"], ArrowRight: [10, "y"], ArrowUp: [-10, "x"], ArrowDown: [10, "x"] };
  container.addEventListener("keydown", (event) => {
    if (event.key === " ") animation.setPlaying(!animation.playing);
    else if (turns[event.key]) viewer.rotate(...turns[event.key]);
    else return;
    viewer.render();
    event.preventDefault();
  });
  new IntersectionObserver(([entry]) => {
    animation.visible = entry.isIntersecting;
  }).observe(container);
  new ResizeObserver(() => viewer.resize()).observe(container);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => animation.recolour());
  mlrim.printImage(animation);
};

/** Paper shows a picture of the viewer. */
mlrim.printImage = (animation) => {
  const image = document.getElementById("viewer-print");
  const take = () => {
    image.src = animation.viewer.pngURI();
  };
  addEventListener("beforeprint", take);
};

/** Modes start from links to #mode-N, from the list of partners, and from clicks on bands. */
mlrim.connectModes = (animation, data) => {
  const { scene } = data;
  const title = document.getElementById("mode-title");
  const partners = document.getElementById("control-partner");
  const rows = scene.gamma.map((_, row) => document.getElementById(`mode-${row + 1}`));
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

  const show = (mode, text, row, moving = true) => {
    animation.show(mode);
    animation.setPlaying(moving);
    title.replaceChildren(...text);
    mlrim.fillMotion(mlrim.motion(scene.crystal, mode));
    rows.forEach((element, index) => element.classList.toggle("current", index === row));
  };
  const showGamma = (row, partner, moving) => {
    const mode = scene.gamma[row];
    partners.replaceChildren(...mode.vectors.map((_, index) => new Option(`${index + 1} of ${mode.vectors.length}`, index)));
    partners.value = partner;
    partners.disabled = mode.vectors.length === 1;
    partners.dataset.row = row;
    if (data.tables.bands) mlrim.markBand(data);
    show(mlrim.gammaMode(scene, row, partner), mlrim.rowTitle(rows[row]), row, moving);
  };
  const fromAddress = () => {
    const match = location.hash.match(/^#mode-(\d+)$/);
    const row = match ? Number(match[1]) - 1 : -1;
    if (scene.gamma[row]) showGamma(row, 0);
    return Boolean(scene.gamma[row]);
  };
  mlrim.showGamma = showGamma;
  mlrim.showBand = (qIndex, band) => {
    const place = mlrim.nearestPlace(scene.path.indices, qIndex);
    if (place < 0) return;
    partners.disabled = true;
    mlrim.markBand(data, scene.path.indices[place], band);
    show(mlrim.pathMode(scene, place, band), [mlrim.bandTitle(data, scene.path.indices[place], band)], -1);
    document.getElementById("modes").scrollIntoView({ behavior: still ? "auto" : "smooth", block: "nearest" });
  };

  partners.addEventListener("change", () => showGamma(Number(partners.dataset.row), Number(partners.value)));
  addEventListener("hashchange", fromAddress);
  for (const link of document.querySelectorAll("a[data-play]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault(); // the page stays where it is
      history.replaceState(null, "", link.hash);
      fromAddress();
    });
  }
  if (data.tables.bands) mlrim.onBandClick(mlrim.showBand);
  if (!fromAddress()) showGamma(mlrim.firstMode(rows), 0, !still); // nothing moves unasked where motion is unwelcome
};

/** The displacements of the shown mode as rows of their table. */
mlrim.fillMotion = (motion) => {
  const cell = (kind, text) => {
    const element = document.createElement(kind);
    element.textContent = text;
    if (kind === "th") element.scope = "row";
    else element.className = "num";
    return element;
  };
  const signed = (value) => (Math.abs(value) < 5e-4 ? "0" : value.toFixed(3).replace("-", "−"));
  const rows = motion.map(({ symbol, parts, share }, atom) => {
    const row = document.createElement("tr");
    row.append(cell("th", `${symbol} ${atom + 1}`), ...parts.map((part) => cell("td", signed(part))));
    row.append(cell("td", `${(100 * share).toFixed(1)} %`));
    return row;
  });
  document.querySelector("#motion-table tbody").replaceChildren(...rows);
};

/** Symbol, kind and frequency of a row of the Γ table, as nodes. */
mlrim.rowTitle = (row) => {
  const symbol = row.querySelector(".irrep").cloneNode(true).childNodes;
  return [...symbol, ` ${row.dataset.kind}, ${mlrim.frequency(Number(row.dataset.cm1))} cm⁻¹`];
};

/** The first optical mode, or the first one. */
mlrim.firstMode = (rows) => Math.max(0, rows.findIndex((row) => row.dataset.kind !== "acoustic"));

mlrim.nearestPlace = (indices, wanted) => {
  let best = -1;
  indices.forEach((index, place) => {
    if (best < 0 || Math.abs(index - wanted) < Math.abs(indices[best] - wanted)) best = place;
  });
  return best;
};

mlrim.bandTitle = ({ tables: { bands } }, qIndex, band) => {
  const q = ["q_a", "q_b", "q_c"].map((key) => bands[key][qIndex].toFixed(3)).join(", ");
  const cm1 = bands[`band_${band + 1}_thz`][qIndex] * mlrim.THZ_TO_CM1;
  return `band ${band + 1} at q = (${q}), ${mlrim.frequency(cm1)} cm⁻¹`;
};

mlrim.start();
