"""Plumbline: do attention weights explain a transformer, or do post-hoc methods explain it better?

__version__: of the installation. __release__: the last release; artefacts record it, and not the commits since, which would change
their bytes.
"""


def __getattr__(name):
    """Look the version up when it is asked for: every job's client imports this package (workflow/warm.py), and needs none."""
    if name not in ("__version__", "__release__"):
        raise AttributeError(f"module 'plumbline' has no attribute '{name}'")
    import re
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("plumbline")
    except PackageNotFoundError:  # on PYTHONPATH and not installed, as a job of a conda environment has it
        found = "0.1.0"
    globals().update(__version__=found, __release__=re.findall(r"^[\d.]*\d", found)[0])
    return globals()[name]
