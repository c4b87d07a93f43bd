"""Frequencies of a mixed wurtzite crystal against its composition, by the virtual crystal and by explicit supercells.

    python -m benchmarks.solid_solution data=data/phonondb

Ga(1−x)Al(x)N between the two end members of the data set, lattice and positions interpolated (Vegard's rule). The
direct model sees shared sites; its A1(TO) and E2(high) are told by degeneracy and order, as its eigenvectors mean
nothing. The delta model gets quasi-random supercells (pair correlations of the nearest shells as in a random alloy),
whose modes are projected onto the A1 and E2 patterns of the first end member; their atoms are not relaxed.
"""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from rich.console import Console
from rich.table import Table

from datamodules.options import run_command
from datamodules.store import RecordStore
from mlrim.configuration import AtLeast
from mlrim.direct.answers import DirectAnswer
from mlrim.direct.predictor import DirectPredictor
from mlrim.disorder import virtual_crystal
from mlrim.errors import UserError
from mlrim.evaluation.tables import write_rows
from mlrim.lattice.crystal import Crystal
from mlrim.lattice.dynamics import LatticeDynamics
from mlrim.lattice.supercell import Supercell
from mlrim.output_folder import require_output_folder
from mlrim.predictors import Known, LongRange, Predictor, load_any_predictor, load_predictor
from mlrim.report.direct.prediction import levels_of
from mlrim.responses import load_response
from mlrim.units import THZ_TO_CM1
from mlrim.vibrations.gamma import gamma_modes

SHELLS = 3
"""Shells of cation pairs whose correlations are those of a random alloy."""
LARGEST_MOVE = 0.05
"""Fractional coordinates of the end members differ by no more."""
DRAWS = 4000
"""Random decorations of which the most random one is taken."""


@dataclass
class Options:
    """What is mixed, and how finely.

    Attributes:
        data: data set with both end members.
        first, second: their ids, wurtzite crystals with one anion.
        ckpt: direct model.
        delta: delta model; none leaves the supercells out.
        steps: compositions between the end members.
        repeats: the supercell, multiples of the primitive cell along every vector.
        out: folder of the table.
    """

    data: str
    first: str = "mp-804"
    second: str = "mp-661"
    ckpt: str = "direct"
    delta: str = "mlrim"
    steps: Annotated[int, AtLeast(1)] = 10
    repeats: Annotated[int, AtLeast(1)] = 2
    out: str = "evaluation/solid_solution"


class WurtziteModes(NamedTuple):
    """The two optical modes that are followed, cm⁻¹."""

    a1: float
    e2: float


def main() -> None:
    """The command."""
    run_command("benchmarks.solid_solution", Options, follow)


def follow(options: Options) -> None:
    """The table of frequencies against composition."""
    store, out = RecordStore(options.data), require_output_folder(options.out)
    ends = [store[name].crystal for name in (options.first, options.second)]
    direct = load_any_predictor(options.ckpt)
    if not isinstance(direct, DirectPredictor):
        raise UserError(f"ckpt={options.ckpt} is no direct model")
    rows = [{"x": x, **direct_row(direct, ends, x)} for x in np.linspace(0, 1, options.steps + 1)]
    if options.delta != "none":
        predictor = load_predictor(options.delta)
        for row in rows:
            if min(abs(row["x"] - value) for value in (0, 0.25, 0.5, 0.75, 1)) < 1e-6 or options.steps <= 4:
                row |= supercell_row(predictor, direct, ends, row["x"], options.repeats)
    out.mkdir(parents=True, exist_ok=True)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    write_rows(out / "solid_solution.csv", rows, columns)
    table = Table(*columns)
    for row in rows:
        table.add_row(*(f"{row[name]:.4g}" if name in row else "" for name in columns))
    console = Console()
    console.print(table)
    for name in ("direct A1", "direct E2"):
        values = np.array([row[name] for row in rows])
        verdict = "monotonic" if (np.diff(values) > 0).all() or (np.diff(values) < 0).all() else "not monotonic"
        console.print(f"{name}: {verdict}, from {values[0]:.1f} to {values[-1]:.1f} cm⁻¹")


def direct_row(direct: DirectPredictor, ends: list[Crystal], x: float) -> dict[str, float]:
    """The virtual crystal by the direct model."""
    average = interpolated(ends, x)
    symbols = cations(ends)
    sites = {site: {symbols[0]: 1 - x, symbols[1]: x} for site in np.flatnonzero(cation_sites(average)).tolist()}
    crystal, occupancy = virtual_crystal(average, sites)
    answers = direct.answers(crystal, occupancy)
    modes = wurtzite_modes(direct.centre(np.array([answer.gamma for answer in answers])))
    return {"direct A1": modes.a1, "direct E2": modes.e2, "direct DOS mean": mean_frequency(direct, answers)}


def mean_frequency(direct: DirectPredictor, answers: list[DirectAnswer]) -> float:
    """Mean frequency of the learned density of states, cm⁻¹."""
    states = direct.centre(np.array([answer.states for answer in answers])).sum(axis=0)
    return float(states @ np.asarray(direct.density_grid.centres, dtype=float) / states.sum())


def wurtzite_modes(gamma: Float[ndarray, "modes"]) -> WurtziteModes:
    """A1(TO) and E2(high) among the modes of wurtzite, E2 < B1 < A1 < E1 < E2 < B1: by degeneracy and order.

    Raises:
        UserError: the levels are not those of wurtzite.
    """
    optical = [level for level in levels_of(gamma, None) if not level.acoustic]
    single = [level.frequency_cm1 for level in optical if level.degeneracy == 1]
    double = [level.frequency_cm1 for level in optical if level.degeneracy == 2]
    if (len(single), len(double)) != (3, 3):
        raise UserError(f"{len(single)} single and {len(double)} double levels are not those of wurtzite")
    return WurtziteModes(single[1], double[2])


def supercell_row(
    predictor: Predictor, direct: DirectPredictor, ends: list[Crystal], x: float, repeats: int
) -> dict[str, float]:
    """The quasi-random supercell by the delta model, and its mean frequency by the direct one."""
    average = interpolated(ends, x)
    supercell = Supercell(average, repeats * np.eye(3, dtype=int))
    numbers = decorated(supercell, ends, x)
    mixed = Crystal(supercell.lattice, supercell.to_crystal().positions, numbers)
    dynamics = delta_dynamics(predictor, mixed)
    modes = dynamics.modes(np.zeros((1, 3)))
    frequencies = modes.frequencies[0] * THZ_TO_CM1
    found = {}
    for name, pattern in wurtzite_patterns(predictor, ends[0]).items():
        repeated = np.repeat(pattern, supercell.n_cells, axis=1).reshape(len(pattern), -1)
        vectors = repeated / np.linalg.norm(repeated, axis=1, keepdims=True)
        weights = (np.abs(vectors @ modes.eigenvectors[0]) ** 2).mean(axis=0)
        found[f"delta supercell {name}"] = float(weights @ frequencies)
    return {**found, "direct supercell DOS mean": mean_frequency(direct, direct.answers(mixed))}


def wurtzite_patterns(predictor: Predictor, crystal: Crystal) -> dict[str, Float[ndarray, "partners atoms 3"]]:
    """Mass-weighted patterns of A1(TO) and E2(high) of an end member."""
    gamma = gamma_modes(delta_dynamics(predictor, crystal))
    optical = [mode for mode in gamma.modes if not mode.acoustic]
    chosen = {
        "A1": next(mode for mode in optical if mode.irrep.symbol == "A1"),
        "E2": [mode for mode in optical if mode.irrep.symbol == "E2"][-1],
    }
    return {name: mode.eigenvectors.T.reshape(mode.degeneracy, crystal.n_atoms, 3) for name, mode in chosen.items()}


def delta_dynamics(predictor: Predictor, crystal: Crystal) -> LatticeDynamics:
    """Force constants with learned Born charges and ε∞."""
    from mlrim.lattice.dipole import DipoleInteraction, neutralize_born_charges

    response = load_response("mlrim")
    assert response is not None
    learned = response(crystal)
    born = neutralize_born_charges(learned.born_charges)
    predicted = predictor(crystal, Known(long_range=LongRange(born, learned.dielectric, response.description)))
    return LatticeDynamics(crystal, predicted.short_range, DipoleInteraction(crystal, born, learned.dielectric))


def interpolated(ends: list[Crystal], x: float) -> Crystal:
    """Lattice and positions between the end members, with the elements of the first.

    Raises:
        UserError: they are not the same structure in the same setting, up to inversion and origin.
    """
    first, second = ends
    moved = min(
        (
            displacements(first, second, sign, origin)
            for sign in (1, -1)
            for origin in np.flatnonzero(cation_sites(second))
        ),
        key=lambda difference: float(np.abs(difference).max()),
    )
    if first.n_atoms != second.n_atoms or np.abs(moved).max() > LARGEST_MOVE:
        raise UserError("the end members are not the same structure in the same setting")
    lattice = (1 - x) * first.lattice + x * second.lattice
    return Crystal.from_fractional(lattice, first.fractional + x * moved, first.numbers)


def displacements(first: Crystal, second: Crystal, sign: int, origin: int) -> Float[ndarray, "atoms 3"]:
    """From every atom of a crystal to the nearest of its kind of another one, inverted or not, with common origin."""
    start = np.flatnonzero(cation_sites(first))[0]
    places = sign * (second.fractional - second.fractional[origin]) + first.fractional[start]
    difference = places[None] - first.fractional[:, None]
    difference -= np.round(difference)
    unlike = cation_sites(first)[:, None] != cation_sites(second)[None]
    nearest = (np.abs(difference).sum(axis=-1) + 10.0 * unlike).argmin(axis=1)
    if len(set(nearest.tolist())) < first.n_atoms:
        return np.full((first.n_atoms, 3), np.inf)
    return difference[np.arange(first.n_atoms), nearest]


def cations(ends: list[Crystal]) -> tuple[str, str]:
    """The elements that are mixed: those that the end members do not share."""
    shared = set(ends[0].symbols) & set(ends[1].symbols)
    first, second = (next(symbol for symbol in end.symbols if symbol not in shared) for end in ends)
    return first, second


def cation_sites(crystal: Crystal) -> Bool[ndarray, "atoms"]:
    """The sites of the least electronegative element."""
    from mlrim.graph.elements import electronegativities

    values = electronegativities(crystal.numbers)
    return values == values.min()


def decorated(supercell: Supercell, ends: list[Crystal], x: float) -> ndarray:
    """Atomic numbers of a supercell whose cation pairs are as uncorrelated as a random alloy's."""
    from ase.data import atomic_numbers

    crystal = supercell.to_crystal()
    sites = np.flatnonzero(cation_sites(crystal))
    first, second = (atomic_numbers[symbol] for symbol in cations(ends))
    pairs = shell_pairs(crystal, sites)
    count, generator = round(x * len(sites)), np.random.default_rng(0)
    best, lowest = np.zeros(len(sites)), np.inf
    for _ in range(DRAWS):
        spins = np.ones(len(sites))
        spins[generator.permutation(len(sites))[:count]] = -1
        products = np.array([np.mean(spins[i] * spins[j]) for i, j in pairs])
        cost = float(np.abs(products - (1 - 2 * count / len(sites)) ** 2).sum())
        if cost < lowest:
            best, lowest = spins, cost
    numbers = crystal.numbers.copy()
    numbers[sites] = np.where(best > 0, first, second)
    return numbers


def shell_pairs(crystal: Crystal, sites: ndarray) -> list[tuple[ndarray, ndarray]]:
    """Pairs of cations in each of the nearest shells, as positions in `sites`."""
    from mlrim.lattice.neighbours import neighbour_pairs, pair_vectors

    pairs = neighbour_pairs(crystal, 7.0)
    place = {int(site): index for index, site in enumerate(sites)}
    kept = np.array([int(i) in place and int(j) in place for i, j in zip(pairs.i, pairs.j, strict=True)])
    lengths = np.round(np.linalg.norm(pair_vectors(crystal, pairs), axis=1)[kept] / 0.3)
    ends = [np.array([place[int(one)] for one in part[kept]]) for part in (pairs.i, pairs.j)]
    return [(ends[0][lengths == shell], ends[1][lengths == shell]) for shell in np.unique(lengths)[:SHELLS]]


if __name__ == "__main__":
    main()
