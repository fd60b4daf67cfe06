"""What a registry finds in its package, and that the public functions say their types."""

import importlib
import inspect
import sys

import pytest

from plumbline import registry
from plumbline.agreement import METRICS
from plumbline.attribution import ALL_METHODS, shown_in
from plumbline.attribution.image_maps import MAPS
from plumbline.causal.registry import METRICS as METRICS_OF_MAPS
from plumbline.collect import BLOCKS
from plumbline.figures import style

METHOD = "Method(id={name!r}, label='', family='', readouts=(), citation='')"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A function that writes a package of modules (name -> text) and gives its name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(**modules):
        folder = tmp_path / "made_up_methods"
        folder.mkdir()
        for name, text in {"__init__": "", **modules}.items():
            (folder / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return folder.name

    yield write
    for name in [name for name in sys.modules if name.split(".")[0] == "made_up_methods"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "definition",
    ["ENTRY = {}", "ENTRY: Method = {}", 'ENTRY: "Method" = {}', "ENTRY={}", "ENTRY: (\n    Method\n) = {}"],
)
def test_an_entry_is_found_however_it_is_written(package, definition):
    text = "from plumbline.registry import Method\n" + definition.format(METHOD.format(name="one")) + "\n"
    assert list(registry.discover(package(one=text), "method")) == ["one"]


def test_a_module_without_an_entry_is_not_imported(package):
    text = '"""What ENTRY = says stands elsewhere."""\nENTRIES = ()\n    # ENTRY = 1\nraise AssertionError\n'
    assert registry.discover(package(helper=text), "method") == {}


def test_a_module_bears_its_entrys_id(package):
    text = "from plumbline.registry import Method\nENTRY: Method = " + METHOD.format(name="one") + "\n"
    with pytest.raises(AssertionError, match="registers 'one'"):
        registry.discover(package(two=text), "method")


@pytest.mark.parametrize("module", ["attribution", "faithfulness", "registry"])
def test_public_functions_say_the_type_of_every_argument_and_of_their_result(module):
    module = importlib.import_module(f"plumbline.{module}")
    functions = {
        name: value
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }
    assert functions
    for name, function in functions.items():
        signature = inspect.signature(function)
        untyped = [part.name for part in signature.parameters.values() if part.annotation is part.empty]
        assert not untyped, f"{name}: {untyped}"
        assert signature.return_annotation is not signature.empty, name


def test_explanations_of_texts_and_of_images_are_entries_of_one_registry():
    """Of each kind of model an id is one readout; a look and its places are legal; what computes them has every one."""
    assert {method.models for method in ALL_METHODS.values()} == set(registry.MODELS)
    for models in registry.MODELS:
        readouts = [
            readout
            for method in ALL_METHODS.values()
            if method.models == models
            for readout in method.readouts
        ]
        assert len({readout.id for readout in readouts}) == len(readouts)
        assert len({readout.label for readout in readouts}) == len(readouts)
        for readout in readouts:
            assert isinstance(readout, registry.Readout)
            assert set(readout.shown or ()) <= set(registry.SHOWN), readout.id
            assert readout.look is None or readout.look.dash in style.DASHES, readout.id
            assert readout.block in BLOCKS
            assert not (readout.published and readout.shown is None and readout.stands_in("curves"))
    assert all(
        isinstance(metric, registry.Metric) for metric in (*METRICS.values(), *METRICS_OF_MAPS.values())
    )
    assert not set(METRICS) & set(METRICS_OF_MAPS)


def test_readouts_of_one_figure_differ_without_colour():
    """Of text encoders by their markers, of image models by colour and dash."""
    curves = [style.mark(readout) for readout in shown_in("curves")]
    assert len({look["marker"] for look in curves}) == len(curves)
    maps = [style.mark(name, MAPS) for name, entry in MAPS.items() if entry.stands_in("curves")]
    assert len({(look["color"], str(look["linestyle"])) for look in maps}) == len(maps)
