"""The report that a person reads: one self-contained HTML page for a structure, and an index page for many."""

from mlrim.report.html.index import write_index
from mlrim.report.html.report import write_report

__all__ = ["write_index", "write_report"]
