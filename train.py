"""Train a model: `python train.py experiment=delta_embedded`; `-m sweep=delta_tpe` runs a study."""

from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from rich.console import Console
from rich.tree import Tree

from mlrim.callbacks.epoch_seeds import EpochSeeds
from mlrim.callbacks.model_header import ModelHeader
from mlrim.callbacks.progress import silence_small_talk
from mlrim.callbacks.run_provenance import RunProvenance
from mlrim.checkpoint import read_checkpoint
from mlrim.configuration import entry_point
from mlrim.configuration.training import TrainConfig, training_checks


@entry_point("train", TrainConfig, checks=[training_checks])
def main(config: DictConfig) -> float | None:
    """Compose → seed → data, model, task → callbacks, loggers, trainer → fit → test → the monitored metric."""
    silence_small_talk()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    seed_everything(config.seed, workers=True, verbose=False)
    if config.resume is not None:
        read_checkpoint(config.resume)

    datamodule = instantiate(config.data)
    model = instantiate(config.model)
    task = instantiate(config.task, model=model)
    always = [model_header(config), EpochSeeds(config.seed), RunProvenance(config.paths.run, config.seed)]
    callbacks = [*built(config.callbacks), *always]
    trainer = instantiate(config.trainer, callbacks=callbacks, logger=built(config.logger))

    if not config.quiet and trainer.is_global_zero:
        show_outputs(config, task)
    try:
        trainer.fit(task, datamodule=datamodule, ckpt_path=config.resume, weights_only=True)
    except SystemExit as ended:  # how Lightning answers Ctrl-C
        raise KeyboardInterrupt(f"Continue with resume={config.paths.run}/checkpoints/last.ckpt") from ended
    metric = monitored(trainer, config.monitor.metric)
    if config.test:
        trainer.test(task, datamodule=datamodule, ckpt_path="best", weights_only=True, verbose=not config.quiet)
    return metric


def built(blocks: DictConfig | None) -> list[Any]:
    """The objects of a group such as `callbacks`, in order, without those set to null."""
    return [instantiate(block) for block in (blocks or {}).values() if block is not None]


def model_header(config: DictConfig) -> Callback:
    """What checkpoints record so that predict.py can rebuild the model and its input."""
    model: Any = OmegaConf.to_container(config.model, resolve=True)
    return ModelHeader(model, {key: config[key] for key in ("name", "baseline", "label", "cutoff", "seed")})


def monitored(trainer: Trainer, metric: str) -> float | None:
    """The best value of the monitored metric; its last value when no checkpoint was kept."""
    best = getattr(trainer.checkpoint_callback, "best_model_score", None)
    value = trainer.callback_metrics.get(metric) if best is None else best
    return None if value is None else float(value)


def show_outputs(config: DictConfig, task: LightningModule) -> None:
    """Say what is trained and what each file of the run folder will be."""
    parameters = sum(parameter.numel() for parameter in task.parameters() if parameter.requires_grad)
    tree = Tree(f"[bold]{config.paths.run}[/]  {config.name}: {parameters:,} parameters")
    tree.add("checkpoints/  best.ckpt to predict with, last.ckpt to resume from")
    tree.add("metrics/      every metric of every epoch")
    tree.add("figures/      learning curves, predictions against labels")
    tree.add("provenance.json, .hydra/  what is needed to repeat the run")
    Console().print(tree, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
