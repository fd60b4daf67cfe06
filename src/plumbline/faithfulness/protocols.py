"""The registry of protocols. No torch import here."""

from __future__ import annotations

import importlib
from types import ModuleType

from ..registry import Protocol, Registry, discover

PROTOCOLS: Registry[Protocol] = discover("plumbline.faithfulness", "protocol")


def protocol_module(protocol: str) -> ModuleType:
    """Import the module of a protocol.

    Parameters
    ----------
    protocol : str
        An id of `PROTOCOLS`.

    Returns
    -------
    module

    Raises
    ------
    PlumblineError
        For an unknown protocol.
    """
    return importlib.import_module(f"plumbline.faithfulness.{PROTOCOLS[protocol].id}")
