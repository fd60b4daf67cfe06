"""The registry of protocols. No torch import here."""

from __future__ import annotations

import importlib
from types import ModuleType

from ..registry import Protocol, Registry, discover

PROTOCOLS: Registry[Protocol] = discover("plumbline.faithfulness", "protocol")


def protocol_module(protocol: str) -> ModuleType:
    """The module of a protocol; PlumblineError for an unknown one."""
    return importlib.import_module(f"plumbline.faithfulness.{PROTOCOLS[protocol].id}")
