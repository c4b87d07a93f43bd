"""Sources of records. A new format is one module here and one entry in the list below."""

from datamodules.embedded import EMBEDDED
from datamodules.importers.crystal_output import CRYSTAL
from datamodules.importers.extended_xyz import EXTENDED_XYZ
from datamodules.importers.molecules import MOLECULES
from datamodules.importers.phonondb import PHONONDB
from datamodules.importers.phonopy_files import PHONOPY, PHONOPY_PARAMS
from datamodules.importers.registry import Importer, ImportOptions, Input, RejectedInput
from datamodules.importers.vasprun import VASPRUN

IMPORTERS: dict[str, Importer] = {
    importer.name: importer
    for importer in (EMBEDDED, PHONONDB, PHONOPY, PHONOPY_PARAMS, VASPRUN, CRYSTAL, EXTENDED_XYZ, MOLECULES)
}

__all__ = ["IMPORTERS", "ImportOptions", "Importer", "Input", "RejectedInput"]
