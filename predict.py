"""Predict the vibrations of crystals and molecules: python predict.py structure=examples/MgO.cif."""

from mlrim.command_line import command
from mlrim.prediction_options import PredictOptions, check_sources, check_spectra, settings_from


@command("predict", PredictOptions, checks=[check_sources, check_spectra])
def main(options: PredictOptions) -> None:
    """Read the model and the structures, predict each, write its folder; fail at the end if one failed."""
    from rich.console import Console

    from mlrim.batch import file_jobs, raise_failures, run_jobs, structure_files
    from mlrim.output_folder import require_output_folder
    from mlrim.predictors import CLASSICAL, load_any_predictor, refuse_born
    from mlrim.responses import load_response

    out = require_output_folder(options.out)
    console = Console(quiet=options.quiet)
    predictor = load_any_predictor(options.ckpt, options.potential)
    response = load_response(options.response, options.response_theory, classical=options.ckpt in CLASSICAL)
    refuse_born(predictor, options.born)
    if options.data is not None:
        from mlrim.record_jobs import record_jobs

        jobs = record_jobs(options.data, options.structure)
    else:
        jobs = file_jobs(structure_files(options.structure), options.symprec, options.born)
    settings, figures = settings_from(options), list(options.figures)
    failures = run_jobs(jobs, predictor, settings, out, figures, console, response)
    raise_failures(failures, len(jobs))


if __name__ == "__main__":
    main()
