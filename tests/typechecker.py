"""beartype as the type checker of all annotations in tests, with Python's own rule that an int is a float."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
