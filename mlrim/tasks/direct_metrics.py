"""Figures of direct models over a validation or test set, each a mean or median over crystals."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchmetrics import CatMetric
from torchmetrics.functional.classification import binary_auroc

from mlrim.graph.crystal_scalars import SCALARS
from mlrim.models.direct import DirectOutput
from mlrim.nn.frequency_grid import FrequencyGrid
from mlrim.nn.pooling import sum_over_graphs
from mlrim.nn.spectrum_head import Spectrum
from mlrim.tasks.distribution_losses import spectral_information_similarity
from mlrim.tasks.spectrum_losses import signed_root

ERRORS = (
    "gamma", "wave", "dos", "mean_frequency", "infrared_similarity", "infrared_intensity", "raman_similarity", *SCALARS,
)  # fmt: skip
"""One number for every crystal: cm⁻¹ for frequencies and densities, similarities of one, |ln| of intensities."""


class DirectMetrics(nn.Module):
    """Collects errors of crystals over the batches of all processes."""

    def __init__(self) -> None:
        super().__init__()
        self.errors = nn.ModuleDict({name: CatMetric() for name in ERRORS})
        self.odds, self.stable = CatMetric(), CatMetric()

    def collect(
        self,
        batch: Any,
        found: DirectOutput,
        squares: tuple[Sequence[Tensor], Sequence[Tensor]] | None,
        grids: Mapping[str, FrequencyGrid],
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Add the errors of one batch; returns labels and predictions for a parity plot."""
        graph, labels = batch
        parity = {} if squares is None else self._modes(labels, *squares)
        if found.states is not None:
            self._density(graph, labels, found.states, grids["density"])
        if found.infrared is not None and found.raman is not None:
            self._spectra(labels, found.infrared, found.raman)
        if found.scalars is not None:
            known = labels.scalars.isfinite().all(-1) & labels.regular
            for name, column in zip(SCALARS, (found.scalars.values - labels.scalars)[known].abs().T, strict=True):
                self._add(name, column)
            told = labels.stable.isfinite()
            if told.any():
                self.odds.update(found.scalars.stability_logit[told].detach())
                self.stable.update(labels.stable[told])
            exact, predicted = labels.scalars[known][:, 1], found.scalars.values[known][:, 1].detach()
            parity["entropy (J/K per mole of atoms)"] = (exact, predicted)
        return parity

    def figures(self) -> dict[str, float]:
        """Means and medians of everything collected, which is forgotten."""
        answer = {}
        for name, metric in self._collected():
            values = torch.as_tensor(metric.compute()).float().flatten()
            suffix = "" if name.endswith("similarity") or name == "infrared_intensity" else "_mae"
            answer[name + suffix] = float(values.mean())
            answer[name + "_median"] = float(values.median())
            metric.reset()
        if self.odds.update_called:
            odds, stable = (torch.as_tensor(metric.compute()).flatten() for metric in (self.odds, self.stable))
            if 0 < float(stable.mean()) < 1:
                answer["stability_auc"] = float(binary_auroc(odds, stable.long()))
            self.odds.reset()
            self.stable.reset()
        return answer

    def _collected(self) -> list[tuple[str, CatMetric]]:
        """The metrics that have values."""
        metrics = cast(dict[str, CatMetric], self.errors)
        return [(name, metrics[name]) for name in ERRORS if metrics[name].update_called]

    def _add(self, name: str, values: Tensor) -> None:
        if len(values):
            cast(CatMetric, self.errors[name]).update(values.detach())

    def _modes(self, labels: Any, gamma: Sequence[Tensor], waves: Sequence[Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        used = [index for index, regular in enumerate(labels.regular.tolist()) if regular]
        pairs = [(optical(labels.gamma[index]), optical(gamma[index][0])) for index in used]
        pairs = [pair for pair in pairs if len(pair[0])]
        self._add("gamma", mean_errors(pairs))
        self._add("wave", mean_errors([(labels.waves[index], waves[index]) for index in used]))
        if not pairs:
            return {}
        exact, found = (frequencies(torch.cat(column)) for column in zip(*pairs, strict=True))
        return {"optical frequency (cm⁻¹)": (exact, found)}

    def _density(self, graph: Any, labels: Any, states: Tensor, grid: FrequencyGrid) -> None:
        count = len(graph.n_atoms)
        totals = [sum_over_graphs(part, graph.atom_graph, count) for part in (states, labels.states)]
        known = totals[1].isfinite().all(-1) & labels.regular
        first, second = totals[0][known], totals[1][known]
        self._add("dos", grid.distance(first, second))
        self._add("mean_frequency", (grid.mean_frequency(first) - grid.mean_frequency(second)).abs())

    def _spectra(self, labels: Any, infrared: Spectrum, raman: Spectrum) -> None:
        known = labels.infrared[:, 0].isfinite() & labels.regular
        similarity = spectral_information_similarity(infrared.shares[known], labels.infrared[known])
        self._add("infrared_similarity", similarity)
        ratio = infrared.intensity[known] / labels.infrared_intensity[known]
        self._add("infrared_intensity", ratio.log().abs())
        known = labels.raman[:, 0].isfinite()
        self._add("raman_similarity", spectral_information_similarity(raman.shares[known], labels.raman[known]))


def mean_errors(pairs: Sequence[tuple[Tensor, Tensor]]) -> Float[Tensor, "crystals"]:
    """Mean error of the signed frequencies of each pair of squared ones, cm⁻¹."""
    errors = [(frequencies(exact) - frequencies(found)).abs().mean() for exact, found in pairs]
    return torch.stack(errors) if errors else torch.zeros(0)


def optical(squares: Tensor) -> Tensor:
    """ω² at Γ without the three modes that are exactly zero."""
    return squares[torch.sort(squares.abs().argsort(stable=True)[3:]).values]


def frequencies(squares: Tensor) -> Tensor:
    """Signed frequencies, cm⁻¹."""
    return signed_root(squares.detach(), 1e-3)
