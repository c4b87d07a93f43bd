"""The commands in README.md exist."""

import re
from pathlib import Path


def test_make_targets_and_programs_of_the_readme_exist(repository: Path) -> None:
    readme = (repository / "README.md").read_text(encoding="utf-8")
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^make (\w+)", readme, flags=re.MULTILINE))
    assert {"demo", "test", "env"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
    for program in re.findall(r"^python (\w+\.py)", readme, flags=re.MULTILINE):
        assert (repository / program).is_file()
    for name in re.findall(r"experiment=(\w+)", readme):
        assert (repository / "configs" / "experiment" / f"{name}.yaml").is_file()
    for name in re.findall(r"sweep=(\w+)", readme):
        assert (repository / "sweeps" / f"{name}.yaml").is_file()
