"""Write provenance.json into the run folder when a run starts."""

from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer

from mlrim.provenance import write_provenance


class RunProvenance(Callback):
    """Writes `folder`/provenance.json: command, git commit, versions, seed, content hash of the data."""

    def __init__(self, folder: str | Path, seed: int) -> None:
        self.path = Path(folder) / "provenance.json"
        self.seed = seed

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the file once, on the first rank."""
        if trainer.is_global_zero:
            data_hash = getattr(getattr(trainer, "datamodule", None), "content_hash", None)
            write_provenance(self.path, seed=self.seed, data_hash=data_hash)
