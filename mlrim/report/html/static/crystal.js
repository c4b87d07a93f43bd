"use strict";
// The atoms, bonds and cells that the viewer shows.

mlrim.BOUNDARY = 0.02; // fraction of a cell within which an atom counts as lying on its face
mlrim.BOND_TOLERANCE = 1.15; // bonds may be this much longer than the sum of covalent radii
mlrim.SHELL_TOLERANCE = 1.25; // and than the distance to the nearest neighbour

mlrim.times = (row, matrix) => [0, 1, 2].map((k) => row[0] * matrix[0][k] + row[1] * matrix[1][k] + row[2] * matrix[2][k]);

/** Atoms in `cells` conventional cells along each axis, faces included: atom of the primitive cell, its cell, place. */
mlrim.displayedAtoms = (crystal, cells) => (crystal.axes ? mlrim.atomsInCells(crystal, cells) : mlrim.atomsOfMolecule(crystal));

/** A molecule has no axes; its "fractional" coordinates are Cartesian. */
mlrim.atomsOfMolecule = ({ fractional }) => fractional.map((place, index) => ({ index, cell: [0, 0, 0], fractional: place, place }));

mlrim.atomsInCells = (crystal, cells) => {
  const corners = [0, 1, 2, 3, 4, 5, 6, 7].map((bits) => {
    return mlrim.times([bits & 1, (bits >> 1) & 1, bits >> 2].map((bit) => bit * cells), crystal.from_box);
  });
  const low = [0, 1, 2].map((k) => Math.floor(Math.min(...corners.map((corner) => corner[k]))));
  const high = [0, 1, 2].map((k) => Math.ceil(Math.max(...corners.map((corner) => corner[k]))));
  const inside = (place) => place.every((value) => value > -mlrim.BOUNDARY && value < cells + mlrim.BOUNDARY);
  const atoms = [];
  crystal.fractional.forEach((home, index) => {
    const range = (k) => [low[k] - Math.ceil(home[k]), high[k] - Math.floor(home[k])];
    const [[a0, a1], [b0, b1], [c0, c1]] = [0, 1, 2].map(range);
    for (let a = a0; a <= a1; a += 1) {
      for (let b = b0; b <= b1; b += 1) {
        for (let c = c0; c <= c1; c += 1) {
          const fractional = [home[0] + a, home[1] + b, home[2] + c];
          if (inside(mlrim.times(fractional, crystal.to_box))) {
            atoms.push({ index, cell: [a, b, c], fractional, place: mlrim.times(fractional, crystal.lattice) });
          }
        }
      }
    }
  });
  return atoms;
};

/** For every atom the list of its neighbours: near enough for a bond, and in crystals in the first shell of either. */
mlrim.bonds = (atoms, crystal) => {
  const radius = atoms.map(({ index }) => crystal.elements[crystal.symbols[index]].radius);
  const pairs = [];
  const nearest = atoms.map(() => Infinity);
  atoms.forEach((first, i) => {
    for (let j = i + 1; j < atoms.length; j += 1) {
      const second = atoms[j];
      const distance = Math.hypot(...first.place.map((value, k) => value - second.place[k]));
      nearest[i] = Math.min(nearest[i], distance);
      nearest[j] = Math.min(nearest[j], distance);
      if (distance < mlrim.BOND_TOLERANCE * (radius[i] + radius[j])) pairs.push([i, j, distance]);
    }
  });
  const neighbours = atoms.map(() => []);
  for (const [i, j, distance] of pairs) {
    if (!crystal.axes || distance < mlrim.SHELL_TOLERANCE * Math.max(nearest[i], nearest[j])) {
      neighbours[i].push(j);
      neighbours[j].push(i);
    }
  }
  return neighbours;
};

/** Edges of the conventional cells as pairs of points. */
mlrim.cellEdges = (axes, cells) => {
  const edges = [];
  for (let first = 0; first <= cells; first += 1) {
    for (let second = 0; second <= cells; second += 1) {
      for (let axis = 0; axis < 3; axis += 1) {
        const start = [0, 0, 0];
        start[(axis + 1) % 3] = first;
        start[(axis + 2) % 3] = second;
        const end = [...start];
        end[axis] = cells;
        edges.push([mlrim.times(start, axes), mlrim.times(end, axes)]);
      }
    }
  }
  return edges;
};

/** How many cells to show: a wave needs more room than a mode at Γ. */
mlrim.automaticCells = (crystal, wave) => {
  if (!crystal.axes) return 1;
  const limit = wave ? 300 : 60;
  const count = (cells) => mlrim.displayedAtoms(crystal, cells).length;
  let cells = 1;
  while (cells < 4 && count(cells + 1) <= limit) cells += 1;
  return cells;
};
