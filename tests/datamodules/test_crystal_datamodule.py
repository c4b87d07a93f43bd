"""Which long-range part the samples of a batch come with."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.build import BuildOptions, build
from datamodules.crystal_datamodule import CrystalDataModule, CrystalDataset, ResponseShares
from datamodules.sample_cache import ensure_samples
from datamodules.samples import SampleSettings
from datamodules.store import RecordStore
from mlrim.errors import UserError
from tests.datamodules.archives import rocksalt_archives

DRAWS = 600


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shares")
    rocksalt_archives(folder / "archives", 1)
    build(BuildOptions("phonondb", folder / "set", folder / "archives", workers=1, features=False, quiet=True))
    return folder / "set"


def dataset(path: Path, shares: ResponseShares) -> CrystalDataset:
    store = RecordStore(path)
    cache = ensure_samples(store, store.ids, SampleSettings(perturbations=2), workers=0, quiet=True)
    return CrystalDataset(cache, [0], random_wave=True, shares=shares, in_memory=True)


def kinds(data: CrystalDataset, count: int) -> Counter[str]:
    """How often each long-range part was drawn, told by the mean Born charge that the network sees."""
    sample = data.read(0)
    features = {"exact": sample.graph.site_features.numpy(), "rigid": sample.rigid.site_features}
    features |= {f"perturbed {draw}": part.site_features for draw, part in enumerate(sample.perturbed)}
    names = {round(float(array[0, 2]), 4): name for name, array in features.items()}
    assert len(names) == 4
    return Counter(names[round(float(data[0].graph.site_features[0, 2]), 4)] for _ in range(count))


def test_every_long_range_part_comes_as_often_as_it_should(path: Path) -> None:
    torch.manual_seed(0)
    counts = kinds(dataset(path, ResponseShares(0.2, 0.5)), DRAWS)
    expected = {"exact": 0.3, "rigid": 0.2, "perturbed 0": 0.25, "perturbed 1": 0.25}
    for name, share in expected.items():
        assert counts[name] / DRAWS == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / DRAWS))


def test_labels_belong_to_the_long_range_part_that_was_drawn(path: Path) -> None:
    data = dataset(path, ResponseShares(0.0, 1.0))
    sample = data.read(0)
    torch.manual_seed(1)
    seen = set()
    for _ in range(20):
        graph, labels = data[0]
        draw = int(np.allclose(graph.dipole.numpy(), sample.perturbed[1].dipole))
        np.testing.assert_array_equal(graph.dipole.numpy(), sample.perturbed[draw].dipole)
        np.testing.assert_array_equal(labels.target.numpy(), sample.perturbed[draw].target)
        np.testing.assert_array_equal(labels.gamma.target[0].numpy(), sample.perturbed[draw].gamma_target[0])
        seen.add(draw)
    assert seen == {0, 1}


def test_validation_sees_exact_responses_unless_training_never_does(path: Path) -> None:
    assert ResponseShares(0.3, 0.7).sure() == (0, 0)
    assert ResponseShares(1, 0).sure() == (1, 0)
    assert ResponseShares(0, 1).sure() == (0, 1)
    assert kinds(dataset(path, ResponseShares(0.3, 0.7).sure()), 5) == {"exact": 5}
    assert kinds(dataset(path, ResponseShares(1, 0).sure()), 5) == {"rigid": 5}


def test_shares_of_the_same_crystals_must_not_exceed_all_of_them(path: Path) -> None:
    with pytest.raises(UserError, match=r"rigid_response=0.6 and data.perturbed_response=0.5"):
        CrystalDataModule(str(path), rigid_response=0.6, perturbed_response=0.5)
    assert CrystalDataModule(str(path), rigid_response=0.5, perturbed_response=0.0).settings.perturbations == 0
    assert CrystalDataModule(str(path), rigid_response=0.5, perturbed_response=0.5).settings.perturbations == 3
