"""What an epoch shows: crystals, displaced supercells and molecules, in what ratio and with which labels."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from datamodules.build import BuildOptions, build
from datamodules.configuration_datamodule import ConfigurationDataModule, split_configurations
from datamodules.configurations import ConfigurationEntry, ConfigurationStore
from datamodules.energy_datamodule import EnergyDataModule
from datamodules.energy_dataset import LabelChoice, drawn_evenly
from datamodules.mixed_batches import MixedBatches
from mlrim.configuration.training import data_problems
from mlrim.errors import UserError
from mlrim.graph.energy_labels import LabelledGraph
from tests.datamodules.archives import rocksalt_archives


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed")
    rocksalt_archives(folder / "archives", 12)
    build(BuildOptions("phonondb", folder / "set", folder / "archives", workers=1, features=False, quiet=True))
    return folder / "set"


@pytest.fixture(scope="module")
def molecules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("molecules") / "set"
    build(BuildOptions("molecules", folder, workers=1, select="water/*", quiet=True))
    return folder


def module(path: Path, **options) -> EnergyDataModule:
    return EnergyDataModule(str(path), sample_workers=0, quiet=True, batch_size=4, displaced=2, **options)


def batches(data: EnergyDataModule, epoch: int = 0) -> list[LabelledGraph]:
    loader = data.train_dataloader()
    loader.batch_sampler.set_epoch(epoch)
    return list(loader)


def test_an_epoch_shows_every_crystal_once_in_one_of_its_cells(path: Path) -> None:
    data = module(path)
    samples = data.mixture
    seen: dict[str, Counter[int]] = {}
    for epoch in range(40):
        (cells, displaced) = samples.draw(np.random.default_rng(epoch))
        assert not displaced
        ids = [samples.crystals.ids[index] for index in cells]
        assert sorted(ids) == sorted(data.names("train"))
        for name, index in zip(ids, cells, strict=True):
            seen.setdefault(name, Counter())[samples.crystals.places[index].choice] += 1
    for name, counts in seen.items():
        shape = data.cache.shapes[data.cache.row_of[name]]
        assert set(counts) == set(range(len(shape.cells)))
    gamma = sum(counts[0] for counts in seen.values() if len(counts) > 1)
    total = sum(sum(counts.values()) for counts in seen.values() if len(counts) > 1)
    assert gamma / total == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / total))


def test_the_share_of_primitive_cells_is_kept_at_its_ends(path: Path) -> None:
    for share, allowed in ((1.0, {1}), (0.0, {2, 4})):
        data = module(path, gamma_share=share)
        samples = data.mixture
        cells, _ = samples.draw(np.random.default_rng(0))
        shown = {
            data.cache.shapes[place.row].cells[place.choice] for place in (samples.crystals.places[i] for i in cells)
        }
        assert shown <= allowed


def test_the_stated_ratio_is_shown(path: Path, molecules: Path) -> None:
    others = ConfigurationDataModule(str(molecules), split_by="configuration")
    data = module(path, displaced_share=0.5, configurations=others, ratio=2.0)
    crystals = len(data.names("train"))
    shown = Counter(_kind(sample) for sample in _single(batches(data)))
    assert shown["cell"] == crystals
    assert shown["displaced"] == round(0.5 * crystals)
    assert shown["molecule"] == 2 * crystals
    assert data.evaluation_names == ["gamma", "wave", "displaced", "configurations"]
    assert {1, 8} < set(data.elements), "molecules bring their own elements"
    assert len(data.theories) == 2


def test_molecules_and_crystals_share_batches_of_equal_work(path: Path, molecules: Path) -> None:
    others = ConfigurationDataModule(str(molecules), split_by="configuration")
    data = module(path, configurations=others, ratio=4.0)
    plan = MixedBatches(data.mixture, 15).plan()
    work = np.array([sum(data.mixture.costs[index] for index in members) for members in plan])
    assert work.std() < 0.3 * work.mean()
    for batch in batches(data):
        atoms = torch.bincount(batch.graph.atom_graph, minlength=len(batch.graph.n_atoms))
        assert torch.equal(atoms, batch.graph.n_atoms)
        assert [len(matrix) for matrix in batch.labels.hessian] == (3 * batch.graph.n_atoms).tolist()
        assert torch.equal(batch.labels.source, (~batch.graph.periodic).long())
        pairs = batch.graph.atom_graph[batch.graph.receiver], batch.graph.atom_graph[batch.graph.sender]
        assert torch.equal(*pairs), "no pair connects two samples"
    molecular = np.array([int((~batch.graph.periodic).sum()) for batch in batches(data)])
    assert np.ptp(molecular) <= 1, "however light, they do not fill up the batches without large crystals"


def test_epochs_differ_and_repeat_themselves_when_a_run_is_resumed(path: Path) -> None:
    first, again, later = (
        [batch.graph.positions for batch in batches(module(path, displaced_share=0.5), epoch)] for epoch in (0, 0, 1)
    )
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert len(first) == len(later)
    assert any(one.shape != other.shape or not torch.equal(one, other) for one, other in zip(first, later, strict=True))


def test_two_processes_share_an_epoch(path: Path) -> None:
    samples = module(path, displaced_share=0.5).mixture
    alone = MixedBatches(samples, 4, seed=3)
    ranks = [MixedBatches(samples, 4, 3, rank, 2) for rank in range(2)]
    assert len(ranks[0]) == len(ranks[1]) == len(list(ranks[0])) == len(list(ranks[1]))
    together = sorted(index for rank in ranks for members in rank for index in members)
    assert set(together) == {index for members in alone for index in members}


def test_worker_processes_read_the_same_batches(path: Path) -> None:
    here = batches(module(path, displaced_share=0.5))
    there = batches(module(path, displaced_share=0.5, workers=1))
    assert len(here) == len(there)
    for one, other in zip(here, there, strict=True):
        assert torch.equal(one.graph.positions, other.graph.positions)
        assert torch.equal(one.graph.receiver, other.graph.receiver)
        torch.testing.assert_close(one.labels.hessian, other.labels.hessian)


def test_labels_that_are_not_used_are_unknown_in_training_alone(path: Path) -> None:
    data = module(path, labels=LabelChoice(hessian=False, forces=True), displaced_share=1.0)
    for batch in batches(data):
        assert not bool(batch.labels.has_hessian.any())
        assert bool(batch.labels.forces.isfinite().all())
    without_forces = batches(module(path, labels=LabelChoice(forces=False)))
    assert all(bool(batch.labels.forces.isnan().all()) for batch in without_forces)
    assert all(bool(batch.labels.has_hessian.all()) for batch in without_forces)
    gamma, *_ = data.val_dataloader()
    assert all(bool(batch.labels.has_hessian.all()) for batch in gamma)


def test_cells_of_which_nothing_is_known_are_not_shown(path: Path) -> None:
    data = module(path, labels=LabelChoice(hessian=False), stationary=False, displaced_share=1.0)
    assert {_kind(sample) for sample in _single(batches(data))} == {"displaced"}
    bare = EnergyDataModule(
        str(path), sample_workers=0, quiet=True, labels=LabelChoice(hessian=False), stationary=False
    )
    with pytest.raises(UserError, match="nothing is left"):
        bare.train_dataloader()


def test_displaced_supercells_must_be_kept_to_be_shown(path: Path) -> None:
    with pytest.raises(UserError, match=r"data.displaced=0 keeps none"):
        EnergyDataModule(str(path), displaced_share=0.5)


def test_validation_and_test_hold_every_crystal_once_in_each_loader(path: Path) -> None:
    data = module(path)
    for part, loaders in (("validation", data.val_dataloader()), ("test", data.test_dataloader())):
        for name, loader in zip(data.evaluation_names, loaders, strict=True):
            assert loader.dataset.ids == data.names(part)
            sizes = [int(size) for batch in loader for size in batch.graph.n_atoms]
            assert len(sizes) == len(data.names(part))
            assert (set(sizes) == {2}) == (name == "gamma")
    limited = module(path, max_validation=1, max_validation_atoms=8)
    assert limited.evaluation_names == ["gamma", "wave"], "no displaced supercell is that small"
    assert [len(loader.dataset) for loader in limited.val_dataloader()] == [1, 1]
    assert [len(loader.dataset) for loader in limited.test_dataloader()] == [len(data.names("test"))] * 2
    assert module(path, max_cells=1).evaluation_names == ["gamma", "displaced"]


def test_statistics_come_from_all_kinds(path: Path, molecules: Path) -> None:
    others = ConfigurationDataModule(str(molecules), split_by="configuration")
    data = module(path, displaced_share=0.5, configurations=others)
    assert {_kind(sample) for sample in data.training_samples()} == {"cell", "displaced", "molecule"}


def test_configurations_alone(molecules: Path) -> None:
    data = ConfigurationDataModule(str(molecules), split_by="configuration", max_train=20, batch_size=8)
    sizes = [len(batch.graph.n_atoms) for batch in data.train_dataloader()]
    assert sum(sizes) == 20
    more = ConfigurationDataModule(str(molecules), split_by="configuration", max_train=30)
    assert set(data.dataset("train").ids) < set(more.dataset("train").ids)
    (loader,) = data.val_dataloader()
    assert not set(loader.dataset.ids) & set(data.dataset("train").ids)
    assert data.elements == [1, 8]
    energies = torch.cat([batch.labels.energy for batch in data.train_dataloader()])
    stored = {entry.id: index for index, entry in enumerate(data.store.index)}
    expected = sorted(data.store[stored[name]].energy for name in data.dataset("train").ids)
    np.testing.assert_allclose(np.sort(energies.numpy()), expected, rtol=1e-6)


def test_one_molecule_cannot_be_split_by_groups(molecules: Path) -> None:
    with pytest.raises(UserError, match="split_by=configuration"):
        ConfigurationDataModule(str(molecules)).train_dataloader()
    with pytest.raises(UserError, match="no groups ethanol"):
        ConfigurationDataModule(str(molecules), groups=["ethanol"], split_by="configuration").train_dataloader()


def test_groups_stay_together_or_are_split(molecules: Path) -> None:
    entry = ConfigurationStore(molecules).index[0]
    index = [replace(entry, id=f"{group}-{number}", group=str(group)) for group in range(20) for number in range(10)]
    for by in ("group", "configuration"):
        parts = split_configurations(index, 0, by)  # type: ignore[arg-type]
        assert sorted(row for rows in parts.values() for row in rows) == list(range(200))
        assert [len(parts[part]) for part in ("train", "validation", "test")] in ([140, 30, 30], [140, 20, 40])
        groups = {part: {index[row].group for row in rows} for part, rows in parts.items()}
        together = by == "group"
        assert groups["train"].isdisjoint(groups["test"]) == together
        assert parts == split_configurations(list(index), 0, by)  # type: ignore[arg-type]
    assert isinstance(entry, ConfigurationEntry)


def test_things_are_drawn_evenly() -> None:
    drawn = drawn_evenly(np.random.default_rng(0), 7, 20)
    assert len(drawn) == 20
    assert set(Counter(drawn).values()) == {2, 3}
    assert drawn_evenly(np.random.default_rng(0), 0, 5) == []


def _kind(sample: LabelledGraph) -> str:
    if not bool(sample.graph.periodic[0]):
        return "molecule"
    return "cell" if len(sample.graph.numbers) <= 8 else "displaced"


def _single(found: list[LabelledGraph]) -> list[LabelledGraph]:
    """The graphs of some batches one by one, as far as `_kind` looks at them."""
    single = []
    for batch in found:
        for number in range(len(batch.graph.n_atoms)):
            atoms = batch.graph.atom_graph == number
            graph = batch.graph._replace(
                numbers=batch.graph.numbers[atoms], periodic=batch.graph.periodic[number : number + 1]
            )
            single.append(batch._replace(graph=graph))
    return single


def composed(repository: Path, *overrides: str) -> dict[str, Any]:
    """The resolved `data` and what is checked with it, of train.py with these arguments."""
    with initialize_config_dir(str(repository / "configs"), version_base="1.3"):
        config = compose("train", overrides=["experiment=hessian_embedded", *overrides])
    kept = {name: config[name] for name in ("baseline", "label")}
    return kept | {"data": OmegaConf.to_container(config.data, resolve=True)}


def test_a_second_data_set_is_one_line_of_an_experiment(repository: Path, path: Path, molecules: Path) -> None:
    both = [f"data.path={path}", f"data.configurations.path={molecules}", "quiet=true", "data.sample_workers=0"]
    config = composed(repository, "+data@data.configurations=energy_molecules", *both)
    assert list(data_problems(config)) == []
    data = instantiate(config["data"])
    assert data.evaluation_names == ["gamma", "wave", "configurations"]
    assert data.configurations.cutoff == data.reading.cutoff == 5.0
    shown = Counter(_kind(sample) for sample in _single(batches(data)))
    assert shown["molecule"] == 4 * shown["cell"]


def test_data_sets_that_are_not_there_are_found_before_anything_runs(
    repository: Path, path: Path, molecules: Path
) -> None:
    def locations(*overrides: str) -> list[str]:
        return [problem.location for problem in data_problems(composed(repository, *overrides))]

    second = "+data@data.configurations=energy_molecules"
    assert locations(f"data.path={path}", second, "data.configurations.path=nowhere") == ["data.configurations.path"]
    assert locations(f"data.path={molecules}") == ["data.path"], "molecules are no crystals"
    assert locations("data=energy_molecules", f"data.path={path}") == ["data.path"], "crystals are no configurations"
    assert locations("data=energy_molecules", f"data.path={molecules}") == []
    assert locations(f"data.path={path}", "+data.configurations.path=x") == ["data.configurations"]
