"""Data sets: importers, records, the LMDB store, filters, splits and batches."""
