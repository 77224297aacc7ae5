"""Prints constraints.txt: the exact version of everything that oldphoto needs, as installed in this environment.

    .venv/bin/python infra/write-constraints.py > constraints.new && mv constraints.new constraints.txt

Walks the requirements of `oldphoto` and its extras, so that whatever else is installed here is left out.
"""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = frozenset({"test", "postgres"})

HEADER = """\
# What was tested together, on Python {python}: everything oldphoto and its extras pull in, and nothing else.
# pyproject.toml has the ranges; `make venv` installs these. To move on to newer versions:
#     .venv/bin/pip install --upgrade --upgrade-strategy eager -e '.[test,postgres]'
#     make test-full
#     .venv/bin/python infra/write-constraints.py > constraints.new && mv constraints.new constraints.txt
# No local versions (torch==2.13.0 fits CPU and CUDA builds alike) and no nvidia-* pins: PyTorch names its own.
"""


def closure(name: str, extras: frozenset[str]) -> dict[str, str]:
    """Gives canonical name -> public version of all that `name[extras]` needs here, itself left out."""
    versions: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = [(name, extras)]
    while todo:
        name, extras = todo.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found = distribution(name)
        versions[canonicalize_name(name)] = found.version.partition("+")[0]
        for line in found.requires or ():
            requirement = Requirement(line)
            wanted = requirement.marker is None or any(
                requirement.marker.evaluate({"extra": extra}) for extra in extras | {""}
            )
            if wanted:
                todo.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    del versions["oldphoto"]
    return versions


def main() -> int:
    try:
        versions = closure("oldphoto", EXTRAS)
    except PackageNotFoundError as error:
        print(f"{error.name} is not installed: .venv/bin/pip install -e '.[test,postgres]'", file=sys.stderr)
        return 1
    print(HEADER.format(python=f"{sys.version_info.major}.{sys.version_info.minor}"), end="")
    for name, version in sorted(versions.items()):
        if not name.startswith("nvidia-"):
            print(f"{name}=={version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
