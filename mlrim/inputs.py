"""What a structure file holds: a crystal, one with shared sites, or a molecule."""

from pathlib import Path

from mlrim.disorder import MixedStructure, mixed_structure
from mlrim.molecules.structures import InputMolecule, is_molecule, molecule_from_atoms
from mlrim.structures import POSITION_TOLERANCE, InputStructure, average_structure, read_atoms, shared_sites


def read_any(path: str | Path, symprec: float = POSITION_TOLERANCE) -> InputStructure | MixedStructure | InputMolecule:
    """The crystal, ordered or not, or the molecule in a file of any supported format.

    Args:
        symprec: tolerance (Å) of the symmetry of crystals.

    Raises:
        UserError: the file cannot be read, or holds what is none of these.
    """
    path = Path(path)
    atoms = read_atoms(path)
    if is_molecule(atoms):
        return molecule_from_atoms(atoms, path)
    if shared_sites(atoms):
        return mixed_structure(atoms, path, symprec)
    return average_structure(atoms, path, symprec)
