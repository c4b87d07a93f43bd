"""The output of a molecule: tables, summary, figures, page and folder."""
