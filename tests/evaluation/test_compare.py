"""Models that are given other Born charges and ε∞ than the reference's."""

from pathlib import Path

import numpy as np
import pytest

from datamodules.build import BuildOptions, build
from datamodules.store import RecordStore
from mlrim.errors import UserError
from mlrim.evaluation.compare import Evaluator
from mlrim.lattice.crystal import Crystal
from mlrim.responses import LearnedResponse
from tests.datamodules.archives import rocksalt_archives


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    rocksalt_archives(folder / "archives", 1)
    build(BuildOptions("phonondb", folder / "set", folder / "archives", workers=1, features=False, quiet=True))
    return folder / "set"


class Oracle:
    """Knows the response of one crystal, its charges up to a factor and a constant."""

    description = "oracle"

    def __init__(self, path: Path, factor: float, excess: float = 0.0) -> None:
        record = RecordStore(path)[0]
        born = factor * record.born_charges + excess * np.eye(3)
        self.answer = LearnedResponse(born, record.dielectric, None)

    def __call__(self, crystal: Crystal) -> LearnedResponse:
        return self.answer


def errors(path: Path, model: str, oracle: Oracle | None = None) -> dict[str, float]:
    evaluator = Evaluator.open(str(path), [model.replace(":learned", "")], "dft")
    predictors = {model: next(iter(evaluator.predictors.values()))}
    outcome = evaluator._replace(predictors=predictors, response=oracle).evaluate(evaluator.store.ids[0])
    assert not outcome.failures
    return {name: value for name, value in outcome.rows[0].items() if isinstance(value, float)}


def test_a_perfect_response_model_changes_nothing(path: Path) -> None:
    exact = errors(path, "rim")
    assert exact["gamma_optical_mae"] > 1
    digits = 1e-6  # stored charges are symmetric to the digits of their source only
    assert errors(path, "rim:learned", Oracle(path, 1.0)) == pytest.approx(exact, rel=digits)
    assert errors(path, "rim:learned", Oracle(path, 1.0, excess=0.3)) == pytest.approx(exact, rel=digits)


def test_a_wrong_response_model_changes_modes_and_splitting(path: Path) -> None:
    exact, wrong = errors(path, "rim"), errors(path, "rim:learned", Oracle(path, 0.5))
    assert wrong["gamma_optical_mae"] != pytest.approx(exact["gamma_optical_mae"], rel=1e-2)
    assert wrong["loto_error"] != pytest.approx(exact["loto_error"], rel=1e-2)


def test_random_errors_are_the_same_every_time(path: Path) -> None:
    first = errors(path, "rim:perturbed")
    assert first == errors(path, "rim:perturbed")
    assert first["gamma_optical_mae"] != pytest.approx(errors(path, "rim")["gamma_optical_mae"], rel=1e-4)


def test_learned_charges_need_a_response_model(path: Path) -> None:
    with pytest.raises(UserError, match=r"rim:learned .* response="):
        Evaluator.open(str(path), ["rim:learned"], "dft", "none")
