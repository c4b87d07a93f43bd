"""Predict the vibrations of crystals: python predict.py ckpt=rim structure=examples/MgO.cif (see docs/predict.md)."""

from pathlib import Path

from omegaconf import DictConfig

from mlrim.configuration import entry_point
from mlrim.prediction_config import PredictConfig, check_sources, settings_from


@entry_point("predict", PredictConfig, checks=[check_sources])
def main(config: DictConfig) -> None:
    """Read the model and the structures, predict each, write its folder; fail at the end if one failed."""
    from rich.console import Console

    from mlrim.batch import file_jobs, raise_failures, run_jobs, structure_files
    from mlrim.predictors import load_predictor

    console = Console(quiet=config.quiet)
    predictor = load_predictor(config.ckpt)
    if config.data is not None:
        from mlrim.record_jobs import record_jobs

        jobs = record_jobs(config.data, config.structure)
    else:
        jobs = file_jobs(structure_files(config.structure), config.symprec, config.born)
    failures = run_jobs(jobs, predictor, settings_from(config), Path(config.out), list(config.figures), console)
    raise_failures(failures, len(jobs))


if __name__ == "__main__":
    main()
