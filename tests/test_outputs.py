"""What tables and figures read: each planned input, and no other; what a single target plans."""

import os
import sys

import pytest

from plumbline import config as configuration
from plumbline import figures
from plumbline.collect import read_inputs
from plumbline.workflow import outputs
from tests import workflow
from tests.synthetic import write_table

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]

SEEN = []
WATCHED = [False]


def _note(event, arguments):
    """An audit hook: Python's own opening of files. It cannot be taken away, so it looks whether it is wanted."""
    if WATCHED[0] and event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        SEEN.append(os.path.abspath(os.fsdecode(arguments[0])))


@pytest.fixture(scope="module")
def traced():
    """The list of files that are opened from now on, by Python or by pyarrow."""
    import pyarrow.parquet

    plain = pyarrow.parquet.ParquetFile

    class Noted(plain):
        def __init__(self, source, *arguments, **options):
            if isinstance(source, str | os.PathLike):
                SEEN.append(os.path.abspath(source))
            super().__init__(source, *arguments, **options)

    sys.addaudithook(_note)
    WATCHED[0], pyarrow.parquet.ParquetFile = True, Noted
    yield SEEN
    WATCHED[0], pyarrow.parquet.ParquetFile = False, plain


def tiny():
    config = workflow.tiny_config()
    # What is read does not depend on the number of resamples.
    config["bootstrap"]["resamples"] = 20
    return config


def test_each_planned_input_is_read_and_no_other(finished, traced, tmp_path, monkeypatch):
    config = tiny()
    monkeypatch.chdir(finished)
    # All is read by then, and writing the files takes longer than drawing.
    monkeypatch.setattr("plumbline.figures.style.save", lambda figure, path: None)
    faults, count = [], 0
    for kind in ("tables", "figures"):
        for output in config[kind]:
            entry = configuration.registries()[kind][output]
            for name in outputs.output_names(config, kind, output):
                inputs = outputs.output_inputs(config, kind, name)
                keys = {key: config[key] for key in entry.options}
                about = read_inputs(entry, inputs), outputs.output_about(config, kind, name) | keys
                paths = [str(tmp_path / f"{name}.{ending}") for ending in entry.formats]
                traced.clear()
                if kind == "tables":
                    write_table(output, *about, *paths)
                else:
                    figures.write(output, *about, paths)
                results = {os.path.relpath(file) for file in traced if f"{finished}/results" in file}
                planned = {file for files in inputs.values() for file in files}
                published = any(file.endswith("published/numbers.csv") for file in traced)
                count += 1
                if results != planned or (kind == "tables" and published != entry.published):
                    faults.append((name, sorted(planned - results), sorted(results - planned), published))
    assert not faults
    assert count > 60


@pytest.mark.parametrize(
    ("overlay", "target", "jobs"),
    [
        # Of three seeds the lowest; of 53 readouts fifteen, of six methods.
        ("config.local.yaml", "figures/alti/token_heatmap-sst2-minilm.png", {"model": 1, "attributions": 6}),
        ("config.local.yaml", "tables/alti/saliency-sst2-minilm.csv", {"model": 1, "attributions": 5}),
        ("config.local.yaml", "figures/alti/contributions-sst2-minilm.pdf", {"model": 1, "contributions": 1}),
        (
            "config.local.yaml",
            "figures/attention_meets_xai/attention_heads.pdf",
            {"multihead": 1, "shown": 1},
        ),
        ("config.local.yaml", "figures/explainn/causal_graph-mnist-lenet_mnist.pdf", {"image_model": 1}),
        ("config.local.yaml", "tables/alti/accuracy.csv", {"model": 6}),
    ],
)
def test_a_single_target_plans_what_it_shows(plain, overlay, target, jobs):
    found = workflow.counts(plain, "--configfile", overlay, "--", f"results/local/{target}")
    assert {rule: found.get(rule) for rule in jobs} == jobs
    assert "multihead" in jobs or "multihead" not in found
