"""Reading phonopy's yaml files without running code from them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phonopy.interface.phonopy_yaml import PhonopyYaml


def read_phonopy_yaml(path: Path) -> "PhonopyYaml":
    """The contents of a phonopy yaml file, compressed or not; raises whatever phonopy's parser meets.

    Phonopy's own loader runs what tags such as `!!python/object/apply:os.system` name; it is given the safe one, for
    which such a tag is an error.
    """
    import phonopy.interface.phonopy_yaml
    import yaml

    safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    phonopy.interface.phonopy_yaml.Loader = safe  # type: ignore[misc]
    return phonopy.interface.phonopy_yaml.PhonopyYaml().read(path)
