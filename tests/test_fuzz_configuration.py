"""Configurations spoilt at random places: each is refused in one line."""

import copy
import functools
import itertools
import math

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plumbline.errors import PlumblineError
from plumbline.workflow.config import schema, validate
from tests import workflow

CALLS = settings(
    max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@functools.cache
def full_config():
    """config.yaml, every default filled in."""
    return validate(workflow.configuration())


the_schema = functools.cache(schema)


def members(node):
    """The schemas of a place, references followed: several where it is a union."""
    if "$ref" in node:
        node = the_schema()["$defs"][node["$ref"].rsplit("/", 1)[1]]
    union = node.get("anyOf", node.get("oneOf", ()))
    return [inner for member in union for inner in members(member)] or [node]


def places(instance, node, path=()):
    """(path, schema node) of everything in a configuration that the schema names."""
    if path:
        yield path, node
    for member in members(node):
        if not jsonschema.Draft202012Validator({**member, "$defs": the_schema()["$defs"]}).is_valid(instance):
            continue
        if isinstance(instance, dict):
            free = [member.get("additionalProperties"), *member.get("patternProperties", {}).values()]
            others = next((child for child in free if isinstance(child, dict)), None)
            for name, value in instance.items():
                if child := member.get("properties", {}).get(name, others):
                    yield from places(value, child, (*path, name))
        elif isinstance(instance, list) and "items" in member:
            for index, value in enumerate(instance):
                yield from places(value, member["items"], (*path, index))


TYPES = {
    "object": {"no": "object"},
    "array": ["no", "array"],
    "string": "no such text ?!",
    "integer": 3,
    "number": 0.25,
    "boolean": True,
    "null": None,
}


def spoils(node, value):
    """Values that are illegal in a place, by its schema."""
    kinds = {member.get("type", "object") for member in members(node)}
    said = {key: bound for member in members(node) for key, bound in member.items()}
    for kind, example in TYPES.items():
        if kind not in kinds and not (kind == "integer" and "number" in kinds):
            yield example
    if kinds & {"integer", "number"}:
        yield from (math.nan, math.inf, -math.inf)
        for end, step in (("minimum", -1), ("maximum", 1), ("exclusiveMinimum", 0), ("exclusiveMaximum", 0)):
            if end in said:
                yield said[end] + step
        if "number" not in kinds:
            yield 0.5
    if {"enum", "const"} & said.keys():
        yield "no such choice"
    if "pattern" in said:
        yield "No Such Id!"
    if isinstance(value, dict) and "properties" in said:
        yield from (value | {key: 1} for key in ("no_such_key", 7, None, True, 1.5, (1, 2)))
    elif isinstance(value, dict):
        yield from (value | {key: {}} for key in (2024, False, None, "No Such Id!"))
    if isinstance(value, list):
        yield [*value, {"nested": [{"junk": math.nan}]}]
        yield [*value, None]
        if said.get("uniqueItems") and value:
            yield [*value, value[0]]


@functools.cache
def spoilt_places():
    found = []
    for path, node in places(full_config(), the_schema()):
        value = functools.reduce(lambda held, key: held[key], path, full_config())
        found += [(path, spoil) for spoil in spoils(node, value)]
    for spoil in (None, [], "text", 3, {1: 2}, {"no_such_key": 1}):
        found.append(((), spoil))
    return found


# Free-form in the schema: registry entries say what is legal there.
BY_REGISTRY = [
    (("methods", "ig"), {"steps": 0}),
    (("methods", "ig"), {"steps": "many"}),
    (("methods", "ig"), {"steps": math.nan}),
    (("methods", "ig"), {"bound": 1}),
    (("methods", "no such"), {}),
    (("methods", "alti"), {"ddof": 7}),
    (("methods", "selective"), {"threshold": -1.0}),
    (("methods", "selective"), {"threshold": math.nan}),
    (("methods", "selective"), {"scaled_threshold": 7}),
    (("methods", "alti"), None),
    (("methods", "alti"), {3: 4}),
    (("datasets", "sentiment"), {"train": -5}),
    (("datasets", "sentiment"), {"train": 0}),
    (("datasets", "sentiment"), {"seed": -1}),
    (("datasets", "sentiment"), {"train": 1.5}),
    (("datasets", "sentiment"), {"source": "no such"}),
    (("datasets", "sentiment"), {"source": 3}),
    (("datasets", "sentiment"), {"no_such_key": 1}),
    (("datasets", "no such"), {}),
    (("datasets", "sentiment"), {"train": [1]}),
    (("datasets", 3), {}),
]


@pytest.mark.slow
@settings(parent=CALLS)
@given(data=st.data())
def test_malformed_configurations(data):
    path, spoil = data.draw(st.sampled_from([*spoilt_places(), *BY_REGISTRY * 3]))
    config = copy.deepcopy(full_config())
    if not path:
        config = spoil
    else:
        functools.reduce(lambda held, key: held[key], path[:-1], config)[path[-1]] = spoil
    with pytest.raises(PlumblineError) as caught:
        validate(config)
    assert "\n" not in str(caught.value)


def test_the_spoilt_configuration_is_legal():
    assert validate(full_config()) == full_config()
    kinds = {type(spoil).__name__ for _, spoil in spoilt_places()}
    assert len(spoilt_places()) > 1000
    assert {"NoneType", "float", "str", "dict", "list", "int"} <= kinds
    assert len(set(itertools.chain.from_iterable(path for path, _ in spoilt_places()))) > 50
