"""A hash of the code that computes curated rows, by which a build detects changed rules."""

import hashlib
import pkgutil
from functools import cache
from typing import Any

import transforms


@cache
def rules_hash() -> str:
    """Return sha256 of all modules of this package, as hexadecimal; the same on every machine.

    Any edit counts, even of a comment: building again costs seconds, whereas keeping rows of other
    rules costs trust.
    """
    digest = hashlib.sha256()
    for module in sorted(pkgutil.iter_modules(transforms.__path__), key=lambda found: found.name):
        digest.update(f"\n# {module.name}\n".encode())
        digest.update(_code(module))
    return digest.hexdigest()


def _code(module: pkgutil.ModuleInfo) -> bytes:
    """The source of a module with plain line ends; its compiled code if there is no source."""
    finder: Any = module.module_finder
    spec = finder.find_spec(module.name)
    source: str | None = spec.loader.get_source(module.name)
    if source is not None:
        return source.encode()
    compiled: bytes = spec.loader.get_data(spec.origin)
    return compiled
