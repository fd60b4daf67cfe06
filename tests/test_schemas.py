"""Schemas: every property of the configuration is described, and the documentation lists every key."""

import jsonschema
import pytest
import yaml

from plumbline import config
from plumbline.artefacts import _arrow_type
from tests.workflow import ROOT

ARTEFACTS = sorted((ROOT / "src/plumbline/schemas/artefacts").glob("*.yaml"))


def properties(node, place="config"):
    """Every (place, property schema) below a schema node, definitions included."""
    if isinstance(node, dict):
        for name, child in (
            node.get("properties", {}).items() if isinstance(node.get("properties"), dict) else ()
        ):
            yield f"{place}.{name}", child
        for key, child in node.items():
            yield from properties(child, f"{place}/{key}")
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from properties(child, f"{place}[{index}]")


def objects(node, place="config"):
    """Every (place, schema) with named properties."""
    if isinstance(node, dict):
        if "properties" in node and isinstance(node["properties"], dict):
            yield place, node
        for key, child in node.items():
            yield from objects(child, f"{place}/{key}")


def test_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(config.schema())
    assert config.schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_property_has_type_description_and_default():
    found = dict(properties(config.schema()))
    assert len(found) > 50
    lacking = {place: {"type", "description", "default"} - set(child) for place, child in found.items()}
    assert {place: keys for place, keys in lacking.items() if keys} == {}


def test_unknown_keys_are_refused_everywhere():
    """The one exception: a dataset's parameters, which its registry entry names (config._check_parameters)."""
    open_ = [
        place for place, node in objects(config.schema()) if node.get("additionalProperties") is not False
    ]
    assert open_ == ["config/$defs/dataset"]


def test_documentation_is_up_to_date():
    assert (ROOT / "docs/configuration.md").read_text(encoding="utf-8") == config.documentation()


def test_documentation_lists_every_key():
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    for place, _ in properties(config.schema()):
        assert f"{place.rsplit('.', 1)[1]}`" in text, place


@pytest.mark.parametrize("path", ARTEFACTS, ids=lambda path: path.stem)
def test_artefact_schemas(path):
    """Every column has a type that the writer knows, and a description."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert found["title"] == path.stem
    for name, column in {**found["columns"], **found.get("patterns", {})}.items():
        _arrow_type(column["type"])
        assert column["description"].endswith("."), name
