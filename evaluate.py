"""Compare models with reference force constants: python evaluate.py ckpt=[best.ckpt,rim] data=data/phonondb."""

from typing import TYPE_CHECKING

from mlrim.command_line import command
from mlrim.errors import UserError
from mlrim.evaluation.options import EvaluateOptions, check_split_choice, chosen_records, model_names

if TYPE_CHECKING:
    from rich.console import Console

    from mlrim.evaluation.compare import Outcome


@command("evaluate", EvaluateOptions, checks=[check_split_choice])
def main(options: EvaluateOptions) -> None:
    """Choose the records, compare every model on each, write and show the tables."""
    from rich.console import Console

    from datamodules.store import RecordStore
    from mlrim.evaluation.tables import benchmark_table, overview_table, write_evaluation
    from mlrim.output_folder import require_output_folder

    out = require_output_folder(options.out)
    console = Console(quiet=options.quiet)
    models, store = model_names(options), RecordStore(options.data)
    outcomes = compare_with_progress(options, models, chosen_records(store, options), console)
    rows = [row for outcome in outcomes for row in outcome.rows]
    failures = [failure for outcome in outcomes for failure in outcome.failures]
    settings = vars(options) | {"content_hash": store.manifest.content_hash}
    content = write_evaluation(rows, failures, out, settings)
    console.print(overview_table(content))
    benchmarks = benchmark_table(rows)
    if benchmarks is not None:
        console.print(benchmarks)
    console.print(f"tables: {out}", highlight=False)
    if failures:
        first = failures[0]
        raise UserError(
            f"{len(failures)} of {len(failures) + len(rows)} comparisons failed, see {out / 'failures.csv'}; the "
            f"first: {first.model} on {first.id}: {first.reason}"
        )


def compare_with_progress(
    options: EvaluateOptions, models: list[str], names: list[str], console: "Console"
) -> "list[Outcome]":
    """All comparisons, with a progress bar."""
    from rich.progress import track

    from mlrim.evaluation.compare import Evaluator, evaluate_records

    Evaluator.open(options.data, models, options.level, options.response)  # tells of broken models before any work
    outcomes = evaluate_records(options.data, names, models, options.level, options.workers, options.response)
    return list(track(outcomes, "evaluating", total=len(names), console=console, disable=options.quiet))


if __name__ == "__main__":
    main()
