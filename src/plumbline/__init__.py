"""Plumbline: do attention weights explain a transformer, or do post-hoc methods explain it better?"""

import re
from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("plumbline")
except PackageNotFoundError:  # on PYTHONPATH and not installed, as a job of a conda environment has it
    __version__ = "0.1.0"
# The last release. Artefacts record it, and not the commits since, which would change their bytes.
__release__ = re.findall(r"^[\d.]*\d", __version__)[0]
