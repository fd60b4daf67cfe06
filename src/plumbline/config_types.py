"""What the models of the configuration are made of: a block of keys, and the types that several keys have."""

import ast
import inspect
import os
import re
from itertools import pairwise
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)

from .errors import PlumblineError, unknown


def described(block):
    """The text below each key of a block. Read where it is shown: pydantic would read it at each start of Snakemake."""
    kinds = [kind for kind in reversed(block.__mro__) if issubclass(kind, Block) and kind.__annotations__]
    pairs = [pair for kind in kinds for pair in pairwise(ast.parse(inspect.getsource(kind)).body[0].body)]
    return {key.target.id: text.value.value for key, text in pairs if isinstance(key, ast.AnnAssign)}


def _describe(schema, block):
    for key, text in described(block).items():
        schema["properties"][key]["description"] = text


class Block(BaseModel):
    """A mapping of keys. The text below a key is its description; a key that the block does not have is refused."""

    # A block is built once, inside the whole: a third of the time.
    model_config = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, json_schema_extra=_describe, defer_build=True
    )

    @model_validator(mode="before")
    @classmethod
    def check_keys(cls, given):
        """Name the nearest legal key of an unknown one, and say what a missing one is about."""
        if isinstance(given, dict):
            for key in given if cls.model_config["extra"] == "forbid" else ():
                if key not in cls.model_fields:
                    raise ValueError(unknown("key", key, cls.model_fields))
            for key, field in cls.model_fields.items():
                if field.is_required() and key not in given:
                    raise ValueError(f"'{key}' is missing: {described(cls)[key]}")
        return given


class StudyKeys(Block):
    """The keys that one study adds to the configuration."""

    @staticmethod
    def check(config):
        """Refuse what the study's keys do not agree with, and fill in what follows from other keys.

        config: the whole configuration as a dictionary, every key checked alone. Raises PlumblineError.
        """


def at_least(least):
    """A whole number."""
    return Annotated[int, Field(ge=least)]


def number(**bounds):
    """A finite number, whole or not, which stays the int or float that it is."""
    return Annotated[float, Field(**bounds), WrapValidator(_checked)]


def _checked(value, check):
    check(value)
    return value


def known(kind, registry):
    """An id of a registry; kind: what an entry is called."""
    schema = WithJsonSchema({"type": "string", "format": kind, "enum": list(registry)})
    return Annotated[str, AfterValidator(lambda name: _known(kind, name, registry)), schema]


def _known(kind, name, registry):
    if name not in registry:
        raise ValueError(unknown(kind, name, registry))
    return name


def each_once(kind, **bounds):
    """A list in which nothing stands twice."""
    field = Field(json_schema_extra={"uniqueItems": True}, **bounds)
    return Annotated[list[kind], field, AfterValidator(_each_once)]


def _each_once(items):
    if twice := [item for index, item in enumerate(items) if item in items[:index]]:
        raise ValueError(f"{twice[0]!r} is listed twice: name it once")
    return items


def _id(text):
    if not re.fullmatch("[a-z0-9_]+", text):
        raise ValueError(f"'{text}' is no id: use lower-case letters, digits and _")
    return text


def _switch(value):
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def expanded(text):
    """A path with `~`, `$NAME` and `${NAME}` filled in; ValueError for a variable or user that is not known."""
    found = os.path.expanduser(os.path.expandvars(text))
    if unset := re.search(r"\$\w+|\$\{\w+\}", found):
        raise ValueError(f"the environment has no {unset[0]}, which {text} names: set it or write the path")
    if found.startswith("~"):
        raise ValueError(f"no home folder is known for {text}: write the path")
    return found


Whole = at_least(0)
Positive = at_least(1)
Share = number(ge=0, le=1)
# Of --config, Snakemake reads True and False alone, and hands on true and false as text.
Switch = Annotated[bool, BeforeValidator(_switch)]
Id = Annotated[str, AfterValidator(_id), Field(json_schema_extra={"pattern": "^[a-z0-9_]+$"})]
FolderPath = Annotated[str, AfterValidator(expanded)]
Seeds = each_once(Whole, min_length=1)


def check_known(place, kind, name, legal):
    """PlumblineError for a name that is not legal at a place of the configuration."""
    if name not in legal:
        raise PlumblineError(f"{place}: {unknown(kind, name, legal)}")
