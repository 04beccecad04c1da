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
        finder: Any = module.module_finder
        spec = finder.find_spec(module.name)
        # The source, whose line ends are plain; some installations have compiled code only.
        source: str | None = spec.loader.get_source(module.name)
        digest.update(spec.loader.get_data(spec.origin) if source is None else source.encode())
    return digest.hexdigest()
