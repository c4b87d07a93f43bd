"""Time of predict.py with a learned correction over that with the classical model alone, one thread, one run.

    python -m benchmarks.predict_time [--checkpoint model.ckpt] [--repeats 5]

Three figures for each structure, medians of alternating repetitions: the whole process (CPU and wall time, start-up
and imports included), one more structure in a process that runs already (as in a folder of structures), and the
force constants alone. Importing torch, which the classical models do without, is measured by itself. Without
--checkpoint an untrained network of the default size is used.
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

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

ROOT = Path(__file__).resolve().parent.parent
STRUCTURES = ("MgO", "CaTiO3")


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
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{'seconds':34s} {'CPU: rim':>9s} {'+ML':>9s} {'ratio':>7s} {'wall: rim':>10s} {'+ML':>9s} {'ratio':>7s}")
    with TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint = untrained(folder) if arguments.checkpoint is None else arguments.checkpoint.resolve()
        for structure in STRUCTURES:
            words = [f"structure=examples/{structure}.cif", f"out={folder}", "quiet=true"]
            commands = [["predict.py", f"ckpt={ckpt}", *words] for ckpt in ("rim", checkpoint)]
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
