"""Schemas: the configuration's keys are described and documented, and no file of the core names a study."""

import re

import jsonschema
import pytest
import yaml

from plumbline import studies
from plumbline.artefacts import _arrow_type
from plumbline.config import registries
from plumbline.errors import PlumblineError
from plumbline.studies import rooms
from plumbline.workflow import config
from tests.test_config import merged
from tests.workflow import ROOT, TINY

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


@pytest.mark.parametrize("overlays", [(), ("config.local.yaml",), ("config.paper.yaml",), (TINY,)])
def test_editors_accept_the_shipped_configurations(overlays):
    """The schema says what the models check, each key by another program."""
    schema = jsonschema.Draft202012Validator(config.schema())
    found = merged(*overlays)
    assert [fault.message for fault in schema.iter_errors(found)] == []
    assert not schema.is_valid({**found, "modles": {}})
    assert not schema.is_valid({**found, "heatmap_examples": [-1]})
    assert not schema.is_valid({**found, "tables": ["no_such_table"]})


def test_every_property_has_type_description_and_default():
    """A key without a default is one that must be given."""
    found = dict(properties(config.schema()))
    assert len(found) > 50
    for place, child in found.items():
        assert child.keys() & {"type", "anyOf", "oneOf", "$ref", "enum", "const"}, place
        assert child["description"].endswith("."), place
    required = {
        f"{place}.{key}" for place, node in objects(config.schema()) for key in node.get("required", ())
    }
    assert {place for place, child in found.items() if "default" not in child} == required


def test_unknown_keys_are_refused_everywhere():
    """The one exception: a dataset's parameters, which its registry entry names."""
    open_ = [
        place for place, node in objects(config.schema()) if node.get("additionalProperties") is not False
    ]
    assert open_ == ["config/$defs/Dataset"]


def test_a_study_is_named_in_its_room_alone():
    """Every table and figure belongs to a room, and what reads the configuration names none."""
    named = [study for kind in ("tables", "figures") for study in registries()[kind].studies.values()]
    assert set(named) == set(rooms("config"))
    for file in ("workflow/config.py", "config_types.py", "studies/__init__.py", "studies/image_runs.py"):
        text = (ROOT / "src/plumbline" / file).read_text(encoding="utf-8")
        assert [study for study in rooms("config") if re.search(rf"\b{study}\b", text)] == [], file


@pytest.fixture
def fresh_model():
    """The model of the configuration is made anew before the test and after it."""
    config.model.cache_clear()
    yield
    config.model.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("study", rooms("config"))
def test_a_study_without_its_room_and_its_keys(study, monkeypatch, fresh_model):
    """The others stay as they are, and its keys are unknown."""
    whole, keys = config.validate(merged(TINY)), rooms("config")[study].Keys.model_fields
    others = {name: room for name, room in rooms("config").items() if name != study}
    monkeypatch.setattr(config, "rooms", lambda part: others)
    config.model.cache_clear()
    without = {key: value for key, value in merged(TINY).items() if key not in keys}
    assert config.validate(without) == {key: value for key, value in whole.items() if key not in keys}
    with pytest.raises(PlumblineError, match=f"unknown key '{next(iter(keys))}'"):
        config.validate(merged(TINY))


def test_a_room_outside_the_package_adds_its_keys(tmp_path, monkeypatch, fresh_model):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy/__init__.py").write_text("")
    (tmp_path / "toy/config.py").write_text(
        "from plumbline.config_types import Positive, StudyKeys\n"
        "class Keys(StudyKeys):\n"
        "    toys: Positive = 3\n"
        '    """How many toys."""\n'
        "    @staticmethod\n"
        "    def check(config):\n"
        "        config['toys'] += len(config['runs'])\n"
    )
    monkeypatch.setattr(studies, "__path__", [*studies.__path__, str(tmp_path)])
    assert config.validate({})["toys"] == 3
    assert config.validate(merged(TINY) | {"toys": 4})["toys"] == 5
    with pytest.raises(PlumblineError, match="toys is 0: it must be at least 1"):
        config.validate({"toys": 0})
    assert "| `toys` | integer | `3` | How many toys. |" in config.documentation()


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
