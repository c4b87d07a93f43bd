"""A model, a task and data small enough to train in a test, with the interfaces of the real ones."""

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class Line(nn.Module):
    """y = a x + b."""

    def __init__(self, width: int = 1, start: float = 0.0, names: list[str] | None = None) -> None:
        super().__init__()
        self.layer = nn.Linear(width, 1)
        nn.init.constant_(self.layer.weight, start)
        nn.init.zeros_(self.layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class LineTask(pl.LightningModule):
    """Least squares with the hooks that the callbacks read."""

    def __init__(self, model: nn.Module, lr: float = 0.05) -> None:
        super().__init__()
        self.model, self.lr = model, lr

    def error(self, batch: list[Tensor]) -> Tensor:
        return (self.model(batch[0]) - batch[1]).abs().mean()

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        loss = self.error(batch)
        self.log("training/mae", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: list[Tensor], index: int) -> None:
        self.log("validation/mae", self.error(batch))

    def test_step(self, batch: list[Tensor], index: int) -> dict[str, dict[str, tuple[Tensor, Tensor]]]:
        self.log("test/mae", self.error(batch))
        return {"parity": {"y (eV)": (batch[1], self.model(batch[0]))}}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.lr)


class LineData(pl.LightningDataModule):
    """Sixteen points of y = 2 x + 1."""

    content_hash = "abc123"

    def loader(self) -> DataLoader:
        x = torch.linspace(-1, 1, 16)[:, None]
        return DataLoader(TensorDataset(x, 2 * x + 1), batch_size=8)

    train_dataloader = val_dataloader = test_dataloader = loader
