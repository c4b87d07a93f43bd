"""Put what is needed to rebuild the model into every checkpoint."""

from collections.abc import Mapping
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from mlrim.checkpoint import HEADER, default_arguments, header, kind_of_target

DATA_FACTS = ("theories", "background", "elements", "line_width")
"""Attributes of a data module that go into the metadata: levels of theory, parts of an energy that are not learned,
atomic numbers of the training set, and the width of the lines of spectra (cm⁻¹)."""


class ModelHeader(Callback):
    """Writes the versioned header of `mlrim.checkpoint` into checkpoints.

    `model`: the resolved configuration block of the model, with its `_target_`.
    `metadata`: plain facts a prediction needs (baseline, label level, cutoff).
    """

    def __init__(self, model: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        kind = kind_of_target(model["_target_"])
        given = {key: value for key, value in model.items() if not key.startswith("_")}
        self.header = header(kind, {**default_arguments(kind), **given}, metadata)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the header, with the content hash of the data and what else is known of them."""
        datamodule = getattr(trainer, "datamodule", None)
        facts = {"data_hash": getattr(datamodule, "content_hash", None)}
        for name in DATA_FACTS:
            if (fact := getattr(datamodule, name, None)) is not None:
                facts[name] = fact if isinstance(fact, int | float) else list(fact)
        checkpoint[HEADER] = {**self.header, "metadata": {**self.header["metadata"], **facts}}
