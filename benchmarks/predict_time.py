"""Time of predict.py with learned models over that with the classical model alone, one run.

    python -m benchmarks.predict_time [--checkpoint model.ckpt] [--response response.ckpt] [--repeats 5] [--threads 1]
    python -m benchmarks.predict_time --whole --checkpoint model.ckpt --response response.ckpt --threads 2

Three figures for each structure, medians of alternating repetitions: the whole process (CPU and wall time, start-up
and imports included), one more structure in a process that runs already (as in a folder of structures), and the
force constants alone. Importing torch, which the classical models do without, is measured by itself. Without
--checkpoint an untrained network of the default size is used. The second command is a whole run of predict.py with
everything that it can calculate (spectra, figures, report), for MgO and for 60 atoms without any symmetry, against the
time that it may take.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

THREADS = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv[:-1] else "1"
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = THREADS

ROOT = Path(__file__).resolve().parent.parent
STRUCTURES = ("MgO", "CaTiO3")
LIMITS = {"MgO": 20.0, "60 atoms": 90.0}
"""Seconds that a whole run may take on two cores."""
DISORDER = 0.02
"""Random displacements (Å) that take every symmetry away."""


class Times(NamedTuple):
    """Seconds."""

    cpu: float
    wall: float


def process(*words: str) -> Times:
    """Times of a whole Python process in the repository."""
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{' '.join(words)} ended with status {child.returncode}")
    return Times(usage.ru_utime + usage.ru_stime, time.perf_counter() - start)


def called(function: Callable[[], object]) -> Times:
    """Times of a function call in this process."""
    cpu, wall = time.process_time(), time.perf_counter()
    function()
    return Times(time.process_time() - cpu, time.perf_counter() - wall)


def alternating(functions: Sequence[Callable[[], Times]], repeats: int) -> list[Times]:
    """Medians of functions that are measured in turn, after one turn that does not count."""
    rounds = [[function() for function in functions] for _ in range(repeats + 1)][1:]
    return [
        Times(median(one.cpu for one in column), median(one.wall for one in column))
        for column in zip(*rounds, strict=True)
    ]


def untrained(folder: Path) -> Path:
    """A checkpoint with a delta network of the default size."""
    import torch

    from mlrim.checkpoint import default_arguments, save_model
    from mlrim.models.delta import DeltaModel

    torch.manual_seed(0)
    return save_model(folder / "untrained.ckpt", DeltaModel(), "delta", default_arguments("delta"), {"baseline": "rim"})


def steps(checkpoint: Path, structure: Path, out: Path, repeats: int) -> dict[str, list[Times]]:
    """Times inside a running process, classical model and checkpoint."""
    from mlrim.pipeline import Settings, predict_structure
    from mlrim.predictors import Known, Predictor, load_predictor
    from mlrim.report.folder import write_prediction
    from mlrim.structures import read_structure

    predictors = [load_predictor("rim"), load_predictor(str(checkpoint))]

    def whole(predictor: Predictor) -> object:
        return write_prediction(predict_structure(read_structure(structure), predictor, Settings()), out)

    def force_constants(predictor: Predictor) -> object:
        return predictor(read_structure(structure).crystal, Known())

    return {
        name: alternating([partial(called, partial(step, predictor)) for predictor in predictors], repeats)
        for name, step in {"one more structure": whole, "force constants": force_constants}.items()
    }


def large_cell(folder: Path) -> Path:
    """Three cells of CaTiO3 with every atom moved a little: 60 atoms, no symmetry."""
    from ase import Atoms
    from ase.io import read, write

    cell = read(ROOT / "examples" / "CaTiO3.cif")
    assert isinstance(cell, Atoms)
    atoms = cell.repeat((3, 1, 1))
    atoms.rattle(DISORDER, seed=1)
    write(folder / "large.vasp", atoms, format="vasp")
    return folder / "large.vasp"


def whole_runs(checkpoint: Path, response: Path | None, folder: Path, repeats: int) -> None:
    """Print the times of complete runs, everything switched on."""
    structures = {"MgO": ROOT / "examples" / "MgO.cif", "60 atoms": large_cell(folder)}
    words = [f"ckpt={checkpoint}", f"out={folder}", "quiet=true", "raman.geometry=z(xx)-z z(xy)-z"]
    words += [] if response is None else [f"response={response}"]
    for name, structure in structures.items():
        times = alternating([partial(process, "predict.py", f"structure={structure}", *words)], repeats)[0]
        print(f"{name:10s} wall {times.wall:6.1f} s, CPU {times.cpu:6.1f} s (limit {LIMITS[name]:g} s)", flush=True)


def row(name: str, classical: Times, learned: Times) -> str:
    """One line of the table."""
    return (
        f"{name:34s} {classical.cpu:9.3f} {learned.cpu:9.3f} {learned.cpu / classical.cpu:7.2f}"
        f" {classical.wall:10.3f} {learned.wall:9.3f} {learned.wall / classical.wall:7.2f}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--response", type=Path)
    parser.add_argument("--whole", action="store_true", help="complete runs against their limits")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint = untrained(folder) if arguments.checkpoint is None else arguments.checkpoint.resolve()
        response = None if arguments.response is None else arguments.response.resolve()
        if arguments.whole:
            whole_runs(checkpoint, response, folder, arguments.repeats)
            return
        print(
            f"{'seconds':34s} {'CPU: rim':>9s} {'+ML':>9s} {'ratio':>7s} {'wall: rim':>10s} {'+ML':>9s} {'ratio':>7s}"
        )
        for structure in STRUCTURES:
            words = [f"structure=examples/{structure}.cif", f"out={folder}", "quiet=true"]
            commands = [["predict.py", f"ckpt={ckpt}", *words] for ckpt in ("rim", checkpoint)]
            commands[1] += [] if response is None else [f"response={response}"]
            whole = alternating([partial(process, *command) for command in commands], arguments.repeats)
            print(row(f"{structure}: whole process", *whole), flush=True)
            inside = steps(checkpoint, ROOT / "examples" / f"{structure}.cif", folder, 2 * arguments.repeats)
            for step, times in inside.items():
                print(row(f"{structure}: {step}", *times), flush=True)
        imports = [partial(process, "-c", code) for code in ("import numpy", "import numpy, torch")]
        numpy, torch = alternating(imports, arguments.repeats)
    print(f"of the whole process, importing torch: {torch.cpu - numpy.cpu:.3f} CPU, {torch.wall - numpy.wall:.3f} wall")


if __name__ == "__main__":
    main()
