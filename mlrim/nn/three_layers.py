"""The network that heads of direct models end with."""

from torch import nn


def three_layers(inputs: int, hidden: int, outputs: int, dropout: float) -> nn.Sequential:
    """Three linear layers with SiLU between them; the last one has index 5."""
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.SiLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, hidden),
        nn.SiLU(),
        nn.Linear(hidden, outputs),
    )
