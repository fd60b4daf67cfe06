"""What a registry finds in its package, and that the public functions say their types."""

import importlib
import inspect
import sys

import pytest

from plumbline import registry

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
    "definition", ["ENTRY = {}", "ENTRY: Method = {}", 'ENTRY: "Method" = {}', "ENTRY={}", "ENTRY: (\n    Method\n) = {}"]
)  # fmt: skip
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
