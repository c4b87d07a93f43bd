"use strict";
// A mode in motion. The displacement of atom k in cell R at phase φ is A·Re[v_k exp(2πi q·(x_k + R)) exp(−iφ)],
// with v = e/√m of the mode scaled so that the longest is one, and A the amplitude in Å.

mlrim.PERIOD = 1800; // ms of one oscillation at normal speed
mlrim.FRAME = 30; // ms between pictures, at least
mlrim.ARROW_LENGTH = 1.6; // Å, of the longest arrow

mlrim.shownRadius = (covalent) => 0.27 * covalent + 0.1; // Å
mlrim.LABEL_DISTANCE = 0.9; // Å, of the names of the axes from the corners

/** Quaternion of the first view: c upwards, turned by 64° around it, seen from 14° above. */
mlrim.VIEW = (() => {
  const [tilt, turn] = [-76, -64].map((degrees) => (degrees * Math.PI) / 360);
  const [[ct, st], [cz, sz]] = [tilt, turn].map((angle) => [Math.cos(angle), Math.sin(angle)]);
  return [st * cz, -st * sz, ct * sz, ct * cz];
})();

mlrim.point = ([x, y, z]) => ({ x, y, z });

mlrim.Animation = class {
  constructor(container, crystal) {
    this.container = container;
    this.crystal = crystal;
    this.viewer = $3Dmol.createViewer(container, { backgroundColor: "white", backgroundAlpha: 0, antialias: true });
    this.viewer.setProjection("orthographic");
    this.mode = null;
    this.amplitude = 0.3;
    this.speed = 1;
    this.arrows = true;
    this.playing = false;
    this.phase = 0;
    this.cells = 0;
    this.wish = 0; // number of cells asked for; 0 chooses
    this.visible = true;
  }

  /** Show a mode: {q, vectors} with vectors[atom] = [re x, im x, re y, im y, re z, im z]. */
  show(mode) {
    this.mode = mode;
    this.phase = 0;
    const wave = mode.q.some((value) => Math.abs(value) > 1e-9);
    this.build(this.wish || mlrim.automaticCells(this.crystal, wave));
    this.update();
  }

  setCells(cells) {
    this.wish = cells;
    if (this.mode) this.show(this.mode);
  }

  build(cells) {
    if (cells === this.cells) return;
    this.cells = cells;
    this.atoms = mlrim.displayedAtoms(this.crystal, cells);
    const neighbours = mlrim.bonds(this.atoms, this.crystal);
    if (this.model) this.viewer.clear();
    this.model = this.viewer.addModel();
    this.model.addAtoms(this.atoms.map(({ index, place }, serial) => ({
      elem: this.crystal.symbols[index],
      ...mlrim.point(place),
      serial,
      index: serial,
      bonds: neighbours[serial],
      bondOrder: neighbours[serial].map(() => 1),
    })));
    for (const [elem, { colour, radius }] of Object.entries(this.crystal.elements)) {
      const style = { sphere: { radius: mlrim.shownRadius(radius), color: colour }, stick: { radius: 0.07, color: colour } };
      this.model.setStyle({ elem }, style);
    }
    this.shown = this.model.selectedAtoms({});
    this.model.addFrame(this.shown);
    if (this.crystal.axes) this.drawCells();
    this.viewer.zoomTo();
    this.viewer.setView([...this.viewer.getView().slice(0, 4), ...mlrim.VIEW]);
    this.viewer.zoom(this.crystal.axes ? 1.55 : 2);
  }

  drawCells() {
    const color = mlrim.theme().quiet;
    const lines = this.viewer.addShape({ color });
    for (const [start, end] of mlrim.cellEdges(this.crystal.axes, this.cells)) {
      lines.addCylinder({ start: mlrim.point(start), end: mlrim.point(end), radius: 0.018, color });
    }
    const fontColor = mlrim.theme().text;
    ["a", "b", "c"].forEach((name, axis) => {
      const vector = this.crystal.axes[axis];
      const tip = vector.map((value) => value * (this.cells + mlrim.LABEL_DISTANCE / Math.hypot(...vector)));
      const style = { fontColor, font: "bold sans-serif", fontSize: 18, showBackground: false, alignment: "center", inFront: true };
      this.viewer.addLabel(name, { ...style, position: mlrim.point(tip) }, undefined, true);
    });
  }

  /** Displacement of a shown atom at a phase, in units of the amplitude. */
  displacement({ index, fractional }, phase) {
    const { q, vectors } = this.mode;
    const angle = 2 * Math.PI * (q[0] * fractional[0] + q[1] * fractional[1] + q[2] * fractional[2]) - phase;
    const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
    const vector = vectors[index];
    return [0, 1, 2].map((axis) => vector[2 * axis] * cosine - vector[2 * axis + 1] * sine);
  }

  /** Move the atoms to their places at the present phase. */
  draw() {
    this.atoms.forEach((atom, number) => {
      const [x, y, z] = this.displacement(atom, this.phase);
      const shown = this.shown[number];
      shown.x = atom.place[0] + this.amplitude * x;
      shown.y = atom.place[1] + this.amplitude * y;
      shown.z = atom.place[2] + this.amplitude * z;
    });
    this.model.setFrame(0); // makes the viewer read the places again
    this.viewer.render();
  }

  drawArrows() {
    if (this.shape) this.viewer.removeShape(this.shape);
    this.shape = null;
    if (!this.arrows) return;
    this.shape = this.viewer.addShape({ color: mlrim.colour(1) });
    for (const atom of this.atoms) {
      const vector = this.displacement(atom, 0);
      const length = Math.hypot(...vector);
      if (length < 0.03) continue;
      const { radius } = this.crystal.elements[this.crystal.symbols[atom.index]];
      const reach = mlrim.shownRadius(radius) + mlrim.ARROW_LENGTH * length;
      const end = atom.place.map((value, k) => value + (vector[k] / length) * reach);
      const arrow = { start: mlrim.point(atom.place), end: mlrim.point(end), radius: 0.07, radiusRatio: 2.4, midpos: -0.4 };
      this.shape.addArrow({ ...arrow, color: mlrim.colour(1) });
    }
  }

  /** Arrows, places and colours anew. */
  update() {
    if (!this.mode) return;
    this.drawArrows();
    this.draw();
  }

  recolour() {
    const { cells } = this;
    this.cells = 0;
    this.build(cells);
    this.update();
  }

  play() {
    if (this.playing) return;
    this.playing = true;
    let last = performance.now();
    let pause = mlrim.FRAME;
    const step = (now) => {
      if (!this.playing) return;
      if (!this.visible) last = now;
      if (now - last >= pause) {
        this.phase = (this.phase + (2 * Math.PI * this.speed * Math.min(now - last, 200)) / mlrim.PERIOD) % (2 * Math.PI);
        last = now;
        const start = performance.now();
        this.draw();
        pause = Math.max(mlrim.FRAME, 2 * (performance.now() - start)); // slow machines keep half of their time
      }
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  pause() {
    this.playing = false;
  }
};

/** Modes of the page's data in the form that `show` takes. */
mlrim.gammaMode = ({ gamma }, row, partner) => {
  const vectors = gamma[row].vectors[partner].map(([x, y, z]) => [x, 0, y, 0, z, 0]);
  return { q: [0, 0, 0], vectors };
};

mlrim.pathMode = ({ path }, place, band) => {
  path.values ??= mlrim.unpack(path.vectors);
  const [, , atoms] = path.shape;
  const size = 6 * atoms;
  const start = (place * path.shape[1] + band) * size;
  const vectors = Array.from({ length: atoms }, (_, atom) => {
    return Array.from(path.values.subarray(start + 6 * atom, start + 6 * atom + 6), (value) => value / path.scale);
  });
  return { q: path.qpoints[place], vectors };
};

/** For every atom of the primitive cell its displacement at phase zero, and its share of the mode. */
mlrim.motion = (crystal, { q, vectors }) => {
  const squares = vectors.map((vector, atom) => crystal.masses[atom] * vector.reduce((sum, value) => sum + value ** 2, 0));
  const total = squares.reduce((sum, value) => sum + value, 0);
  return vectors.map((vector, atom) => {
    const angle = 2 * Math.PI * q.reduce((sum, value, k) => sum + value * crystal.fractional[atom][k], 0);
    const parts = [0, 1, 2].map((axis) => vector[2 * axis] * Math.cos(angle) - vector[2 * axis + 1] * Math.sin(angle));
    return { symbol: crystal.symbols[atom], parts, share: squares[atom] / total };
  });
};

/** 16-bit integers from base64. */
mlrim.unpack = (text) => {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Int16Array.from({ length: bytes.length / 2 }, (_, index) => view.getInt16(2 * index, true));
};
