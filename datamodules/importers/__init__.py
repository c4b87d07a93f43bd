"""Sources of records. A new format is one module here and one entry in the list below."""

from datamodules.importers.phonondb import PHONONDB
from datamodules.importers.registry import Importer, ImportOptions, Input, RejectedInput

IMPORTERS: dict[str, Importer] = {importer.name: importer for importer in (PHONONDB,)}

__all__ = ["IMPORTERS", "ImportOptions", "Importer", "Input", "RejectedInput"]
