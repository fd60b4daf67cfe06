"""What is planned for each configuration, and what an edit makes stale: exactly that, and nothing else."""

import os
import shutil

import pytest
import yaml

from plumbline import attribution, modules
from plumbline.theory import landed
from tests import workflow

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]

(RUN,) = workflow.configuration(workflow.TINY)["runs"]
METHODS = sorted(
    name for name, entry in attribution.METHODS.items() if entry.control or name in RUN["methods"]
)
# Of the attributions, or of what is made of them; each table of a study, figures of a model, figures of a study.
TABLES = [
    "ablation",
    "agreement",
    "comp_suff",
    "deletion_curves-sentiment-tiny",
    "precision",
    "published_vs_reproduced",
    "rationale",
    "special_tokens",
]
FIGURES = ["deletion_curves", "readout_correlation", "token_heatmap"]
MATRICES = ["contributions", "layer_contributions"]
RANKS = ["results/tiny/figures/alti/special_tokens.pdf"]


def at(stage, *methods):
    return [f"results/tiny/{stage}/sentiment/tiny/seed0/{method}.parquet" for method in methods]


def tables(*names):
    return [f"results/tiny/tables/alti/{name}.csv" for name in names]


def figures(*names):
    return [f"results/tiny/figures/alti/{name}-sentiment-tiny.pdf" for name in names]


SALIENCY = ["results/tiny/tables/alti/saliency-sentiment-tiny.csv"]
CONTRIBUTIONS = ["results/tiny/contributions/sentiment/tiny/seed0.parquet"]
AGREEMENT = ["results/tiny/agreement/sentiment/tiny/seed0.parquet"]
ISOTROPY = [
    "results/tiny/isotropy/sentiment/tiny/seed0.parquet",
    "results/tiny/tables/alti/isotropy.csv",
    "results/tiny/figures/alti/isotropy.pdf",
    "results/tiny/tables/alti/published_vs_reproduced.csv",
]
COST = ["results/tiny/benchmarks/cost.csv"]


# What the maps of the image model and their diffusion end in, from the maps on.
# The table that sets published numbers beside the tables of every study.
BESIDE = "results/tiny/tables/alti/published_vs_reproduced.csv"
VISION = [
    "results/tiny/attributions/digits/tiny_vim/seed0/maps.parquet",
    "results/tiny/faithfulness/digits/tiny_vim/seed0/maps.parquet",
    "results/tiny/tables/network_diffusion/network_diffusion.csv",
    *(
        f"results/tiny/figures/network_diffusion/{name}.pdf"
        for name in (
            "network_diffusion",
            "perturbation_curves",
            "diffusion_spectra",
            "diffusion_gallery-digits-tiny_vim",
        )
    ),
    BESIDE,
]


# The study of causal graphs, of one model and two classes.
CAUSAL = {
    **{
        f"class{label}": f"results/tiny/causal/digits_half/tiny_lenet/seed0/class{label}/graph.json"
        for label in (0, 3)
    },
    **{
        stage: f"results/tiny/causal/digits_half/tiny_lenet/seed0/{stage}.parquet"
        for stage in ("stability", "pruning")
    },
    "explanations": "results/tiny/attributions/digits_half/tiny_lenet/seed0/explanations.parquet",
    "explanation_metrics": "results/tiny/faithfulness/digits_half/tiny_lenet/seed0/explanations.parquet",
}


def causal(*names):
    """First outputs of the study explainn: stages by name, tables as 'table:id', figures as 'figure:id'."""
    found = []
    for name in names:
        kind, _, output = name.rpartition(":")
        ending = "csv" if kind == "table" else "pdf"
        of = (
            "-digits_half-tiny_lenet"
            if output in ("causal_graph", "causal_graphs", "explanations", "node_maps")
            else ""
        )
        of = "" if kind == "table" else of
        found.append(f"results/tiny/{kind}s/explainn/{output}{of}.{ending}" if kind else CAUSAL[name])
    return found


STABILITY = [
    BESIDE,
    *causal("stability", "table:causal_stability", "figure:stability_curve", "figure:stability_frequencies"),
]
PRUNING = causal("pruning", "table:causal_pruning", "figure:pruning")
METRICS = [
    BESIDE,
    *causal(
        "explanation_metrics", "table:explanation_metrics", "figure:explanation_metrics", "figure:lipschitz"
    ),
]
GALLERY = causal("explanations", "figure:explanations", "figure:node_maps")
GRAPHS = causal("class0", "class3", "table:causal_graphs", "figure:causal_graph", "figure:causal_graphs")


# The study of selective rollout: from its stage on, and the table that reads all attributions.
ROLLOUTS = [
    "results/tiny/rollouts/sentiment/tiny/seed0.parquet",
    "results/tiny/tables/selective_rollout/selective_rollout.csv",
    BESIDE,
    *(
        f"results/tiny/figures/selective_rollout/{name}.pdf"
        for name in ("rollout_layers", "rollout_thresholds", "rollout_ratio")
    ),
]
COMPARED = ["results/tiny/tables/selective_rollout/gradient_vs_comprehensiveness.csv"]


def chain(method):
    """What depends on one method's attributions; accuracy and isotropy do not. Of a layered method, the matrices do too.

    An output that shows chosen readouts reads the methods of these alone.
    """
    shown = tables(*TABLES) + RANKS + COMPARED
    readouts = attribution.METHODS[method].readouts
    if any(readout.stands_in("words_classification") and not readout.signed for readout in readouts):
        shown += SALIENCY
    drawn = any(readout.stands_in("examples") for readout in readouts)
    shown += figures(*(name for name in FIGURES if name != "token_heatmap" or drawn))
    if any(readout.layered for readout in readouts):
        shown += CONTRIBUTIONS + figures(*MATRICES)
    return sorted(at("attributions", method) + at("faithfulness", method) + AGREEMENT + COST + shown)


def append(path, text):
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def overlay(folder, **changes):
    (folder / "overlay.yaml").write_text(yaml.safe_dump(changes))
    return workflow.planned(folder, "--configfile", workflow.TINY, "overlay.yaml")


# ------------------------------------------------------------------------------------------------ plans


def causal_jobs(models, graphs):
    """Of the study explainn, beside its data, models and outputs: one job a graph, four a model."""
    names = ("causal_stability", "causal_pruning", "explanations", "explanation_metrics")
    return {"causal_graph": graphs} | dict.fromkeys(names, models)


def test_small_plan(plain):
    """4 corpora of 2 splits, and one's third for the classifier; 2 models with 8 methods (one has 4 more, for selective
    rollout) and 9 with 5, and the controls of each, of 9 on a data set: 5 figures and 2 tables for each of these, 6 figures and 11
    tables a study of text encoders; 3 figures and 2 tables of selective rollout, 4 and 2 of network diffusion; 10 causal graphs,
    with 9 figures and 5 tables."""
    assert workflow.counts(plain) == {
        "data": 7 + 2 + 2, "model": 11, "attributions": 2 * 9 + 4 + 9 * 6, "faithfulness": 2 * 9 + 4 + 9 * 6, "agreement": 11,
        "isotropy": 11, "contributions": 9, "seed_consistency": 1, "model_consistency": 3, "released_seeds": 1, "rollouts": 1,
        "table": 9 + 11 + 6 + 2 + 2 + 5, "html_table": 9, "cost": 1, "figure": 5 * 9 + 6 + 8 + 3 + 4 + 9, "all": 1,
        "multihead": 3, "theory": 3 * 4, "shown": 3, "image_model": 2, "maps": 1, "patch_faithfulness": 1, **causal_jobs(1, 10),
        "total": 368,
    }  # fmt: skip


def test_local_plan_without_a_mirror(plain):
    """A dry run needs no mirror: 8 methods and the controls for 6 models, 3 of them seeds with 4 methods more."""
    assert workflow.counts(plain, "--configfile", "config.local.yaml") == {
        "data": 8 + 3 + 3 + 2, "model": 6, "attributions": 6 * 9 + 3 * 4, "faithfulness": 6 * 9 + 3 * 4, "agreement": 6,
        "isotropy": 6, "contributions": 4, "seed_consistency": 1, "released_seeds": 1, "rollouts": 3,
        "table": 4 + 9 + 6 + 2 + 2 + 5, "html_table": 4, "cost": 1, "figure": 5 * 4 + 5 + 8 + 3 + 6 + 5 + 2 * 4, "all": 1,
        "multihead": 3, "theory": 3 * (10 + 2 + 2 + 2), "shown": 3, "image_model": 3 + 6, "maps": 3, "patch_faithfulness": 2,
        **causal_jobs(6, 60), "total": 416,
    }  # fmt: skip


def test_paper_plan(plain):
    """13 models of 11 distinct checkpoints, 3 of them on the drawn sentences too, and 10 MultiBERTs; every download is planned
    without the network."""
    found = workflow.counts(plain, "--configfile", "config.paper.yaml")
    downloads = found.pop("download_dataset")
    assert downloads >= 4
    assert found.pop("total") == sum(found.values()) + downloads
    # Of BERT-base on SST-2 four more, of BERT-large six and the controls, on the drawn sentences five and the controls.
    methods = 22 * 9 + 4 + 7 + 3 * 6
    assert found == {
        "download_model": 21, "data": found["data"], "model": 26, "attributions": methods, "faithfulness": methods,
        "agreement": 26, "isotropy": 26, "contributions": 17, "download_released": 11, "released_seeds": 1, "rollouts": 2,
        "seed_consistency": 1, "model_consistency": 7, "table": 17 + 10 + 6 + 2 + 2 + 5, "html_table": 17, "cost": 1,
        "figure": 5 * 17 + 6 + 8 + 3 + 5 + 5 + 3 * 4, "all": 1, "multihead": 3, "theory": 3 * (10 + 10 + 2 + 10), "shown": 3,
        "download_image_model": 2, "image_model": 2 + 9, "maps_shard": 2 * 64, "gather_maps": 2,
        "patch_faithfulness_shard": 2 * 64, "gather_patch_faithfulness": 2, **causal_jobs(9, 90),
    }  # fmt: skip


def test_tiny_plan(plain):
    found = workflow.counts(plain, "--configfile", workflow.TINY)
    assert (found["attributions"], found["faithfulness"], found["model"], found["rollouts"]) == (
        len(METHODS),
        len(METHODS),
        1,
        1,
    )


def test_lint(plain):
    done = workflow.snakemake(plain, "--lint")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        (
            "results/small/figures/alti/deletion_curve-sentiment-bert.pdf",
            "deletion_curves-sentiment-bert.pdf",
        ),
        ("results/small/attributions/sentiment/bert/seed0/altii.parquet", "seed0/alti.parquet"),
        ("results/small/attributions/sentiment/brt/seed0/alti.parquet", "bert/seed0/alti.parquet"),
        ("results/paper/attributions/sst2/bert_base/seed0/alti.parquet", "--configfile"),
        ("figur", "figure"),
    ],
)
def test_unknown_target_names_the_legal_ones(plain, target, hint):
    done = workflow.snakemake(plain, "-n", target)
    assert done.returncode != 0
    (line,) = workflow.error_lines(done.stdout)
    assert target in line
    assert hint in line


def test_one_figure_can_be_asked_for(plain):
    """One figure of one model plans that model's chain alone."""
    target = "results/small/figures/alti/readout_correlation-agreement-bert.png"
    found = workflow.counts(plain, target)
    assert found == {"data": 2, "model": 1, "attributions": 9, "agreement": 1, "figure": 1, "total": 14}


# ------------------------------------------------------------------------------------------------ staleness


def test_second_run_does_nothing(finished):
    assert workflow.planned(finished, "--configfile", workflow.TINY) == []


def test_touch_does_nothing(fresh):
    results = [f"results/**/*.{kind}" for kind in ("parquet", "safetensors", "json")]
    for pattern in ("src/**/*.py", "scripts/*.py", "rules/*.smk", *results):
        for path in fresh.glob(pattern):
            os.utime(path)
    assert workflow.planned(fresh, "--configfile", workflow.TINY) == []


def test_results_travel_with_what_snakemake_remembers(finished, tmp_path):
    """docs/dag.md: beside .snakemake a fresh checkout makes nothing again; without it time stamps decide, and --touch accepts."""
    again = workflow.checkout(tmp_path / "again")
    for name in ("results/tiny", ".snakemake"):
        shutil.copytree(finished / name, again / name)
    assert workflow.planned(again, "--configfile", workflow.TINY) == []
    bare = workflow.checkout(tmp_path / "bare")
    shutil.copytree(
        finished / "results/tiny", bare / "results/tiny", copy_function=shutil.copy
    )  # new time stamps
    before = workflow.files(bare / "results/tiny")
    assert workflow.planned(bare, "--configfile", workflow.TINY)
    done = workflow.snakemake(bare, "--touch", "--cores", "1", "--configfile", workflow.TINY)
    assert done.returncode == 0, done.stdout
    assert workflow.planned(bare, "--configfile", workflow.TINY) == []
    assert workflow.files(bare / "results/tiny") == before


def test_an_edit_of_what_draws_reruns_what_is_drawn(fresh):
    append(fresh / "src/plumbline/seeds.py", "\n# A remark.\n")
    found = workflow.planned(fresh, "--configfile", workflow.TINY)
    assert set(at("attributions", "controls")) | set(AGREEMENT) <= set(found)
    assert "results/tiny/models/sentiment/tiny/seed0/model.safetensors" in found


def test_an_edit_of_digits_remakes_tables(fresh):
    append(fresh / "src/plumbline/tables/__init__.py", "\n# A remark.\n")
    found = workflow.planned(fresh, "--configfile", workflow.TINY)
    assert set(tables("comp_suff", "agreement")) <= set(found)
    assert not [
        path for path in found if "/tables/" not in path and "/figures/" not in path and path not in COST
    ]


def test_an_edit_of_an_artefacts_schema_reruns_what_writes_it(fresh):
    append(fresh / "src/plumbline/schemas/artefacts/agreement.yaml", "\n# A remark.\n")
    found = workflow.planned(fresh, "--configfile", workflow.TINY)
    assert set(AGREEMENT) <= set(found)
    assert not [
        path for path in found if "/attributions/" in path or "/models/" in path or "/faithfulness/" in path
    ]


def test_a_new_method_remakes_what_shows_methods_and_computes_nothing(fresh):
    """Colours and rows go by the registry's order."""
    entry = fresh / "src/plumbline/attribution/blankout.py"
    (fresh / "src/plumbline/attribution/aaa.py").write_text(
        entry.read_text().replace('id="blankout"', 'id="aaa"')
    )
    found = workflow.planned(fresh, "--configfile", workflow.TINY)
    assert set(figures("deletion_curves", "token_heatmap")) <= set(found)
    assert all("/figures/" in path or "/tables/" in path or path in COST for path in found), found


def test_an_edit_of_an_error_reruns_nothing(fresh):
    for name in modules.UNTRACKED:
        append(fresh / f"src/plumbline/{name.replace('.', '/')}.py", "\n# A remark.\n")
    assert workflow.planned(fresh, "--configfile", workflow.TINY) == []


@pytest.mark.parametrize("method", ["alti", "controls"])
def test_comment_in_a_method_reruns_its_chain_alone(fresh, method):
    append(fresh / f"src/plumbline/attribution/{method}.py", "\n# A remark.\n")
    assert workflow.planned(fresh, "--configfile", workflow.TINY) == chain(method)


def test_comment_in_a_shared_module_reruns_those_that_import_it(fresh):
    append(fresh / "src/plumbline/attribution/gradients.py", "\n# A remark.\n")
    shown = {*chain("gradient"), *chain("input_gradient"), *ROLLOUTS}
    assert workflow.planned(fresh, "--configfile", workflow.TINY) == sorted(shown)


def test_comment_in_selective_rollout_reruns_its_chain_and_the_stage(fresh):
    append(fresh / "src/plumbline/attribution/selective.py", "\n# A remark.\n")
    assert workflow.planned(fresh, "--configfile", workflow.TINY) == sorted({*chain("selective"), *ROLLOUTS})


def test_thresholds_rerun_the_stage_alone(fresh):
    found = overlay(fresh, selective_rollout={"thresholds": [0.5]})
    assert found == sorted(ROLLOUTS)


def test_methods_block_reruns_its_chain_alone(fresh):
    assert overlay(fresh, methods={"alti": {"ddof": 1}}) == chain("alti")


def test_block_of_a_method_that_does_not_run_changes_nothing(fresh):
    assert overlay(fresh, methods={"ig": {"steps": 50}}) == []


def test_comment_in_a_figure_remakes_that_figure(fresh):
    append(fresh / "src/plumbline/studies/alti/figures/token_heatmap.py", "\n# A remark.\n")
    assert workflow.planned(fresh, "--configfile", workflow.TINY) == figures("token_heatmap")


def test_heatmap_examples_remake_what_shows_them_alone(fresh):
    shown = figures("token_heatmap", *MATRICES) + CONTRIBUTIONS + SALIENCY
    assert overlay(fresh, heatmap_examples=[2]) == sorted(shown)


def test_restored_shards_are_not_computed_again(fresh):
    """Landed shards, put back where another machine's run has left no metadata, are what the run goes on from."""
    results, folder = fresh / "results/tiny", fresh / "landed"
    landed.main(["land", str(results), str(folder)])
    shutil.rmtree(fresh / ".snakemake")
    shards = sorted(results.glob("theory/*/seed0/lime_*/0.parquet"))
    for shard in shards:
        shard.unlink()
    targets = [str(shard.relative_to(fresh)) for shard in shards]
    assert len(targets) == 2
    assert workflow.planned(fresh, "--configfile", workflow.TINY, "--", *targets) == sorted(targets)
    landed.main(["restore", str(results), str(folder)])
    assert workflow.planned(fresh, "--configfile", workflow.TINY, "--", *targets) == []


def test_published_numbers_remake_tables_and_the_figures_that_read_them(fresh):
    append(fresh / "src/plumbline/published/measurements.yaml", "\n# A remark.\n")
    shown = (
        tables("comp_suff", "special_tokens", "published_vs_reproduced", "isotropy", "seed_consistency")
        + RANKS
    )
    study = "results/tiny/tables/attention_meets_xai"
    shown += [f"{study}/{name}.csv" for name in ("classifier_accuracy", "xai_published")]
    shown += ROLLOUTS[1:2] + ROLLOUTS[3:]
    shown += VISION[2:4]
    shown += causal(
        *(f"table:{name}" for name in ("causal_graphs", "causal_stability", "explanation_metrics")),
        *(f"figure:{name}" for name in ("stability_curve", "lipschitz", "explanation_metrics")),
    )
    assert workflow.planned(fresh, "--configfile", workflow.TINY) == sorted([*shown, ISOTROPY[2]])


@pytest.mark.parametrize("file", ["src/plumbline/attribution/isotropy.py", "scripts/isotropy.py"])
def test_comment_in_isotropy_reruns_its_chain_alone(fresh, file):
    append(fresh / file, "\n# A remark.\n")
    assert workflow.planned(fresh, "--configfile", workflow.TINY) == sorted(ISOTROPY)


def test_comment_in_the_diffusion_reruns_maps_and_what_shows_them(fresh):
    append(fresh / "src/plumbline/attribution/diffusion.py", "\n# A remark.\n")
    assert workflow.planned(fresh, "--configfile", workflow.TINY) == sorted(VISION)


def test_comment_in_the_perturbation_of_patches_leaves_the_maps_alone(fresh):
    append(fresh / "src/plumbline/faithfulness/patches.py", "\n# A remark.\n")
    found = workflow.planned(fresh, "--configfile", workflow.TINY)
    assert found == sorted([*VISION[1:3], *VISION[3:5], BESIDE])


def test_comment_in_learning_a_graph_reruns_graphs_and_all_that_hangs_on_them(fresh):
    append(fresh / "src/plumbline/causal/learn.py", "\n# A remark.\n")
    wanted = {*GRAPHS, *STABILITY, *PRUNING, *GALLERY, *METRICS}
    assert workflow.planned(fresh, "--configfile", workflow.TINY) == sorted(wanted)


def test_comment_in_a_stage_of_the_graphs_reruns_that_stage(fresh):
    append(fresh / "src/plumbline/causal/stability.py", "\n# A remark.\n")
    append(fresh / "src/plumbline/causal/evaluation.py", "\n# A remark.\n")
    assert workflow.planned(fresh, "--configfile", workflow.TINY) == sorted({*STABILITY, *METRICS})


def causal_run(fresh, **changes):
    block = yaml.safe_load((fresh / workflow.TINY).read_text())["explainn"]
    return {"explainn": block | {"runs": [block["runs"][0] | changes]}}


def test_a_baseline_more_leaves_graphs_alone(fresh):
    found = overlay(fresh, **causal_run(fresh, baselines=["saliency", "integrated_gradients", "occlusion"]))
    assert {*GALLERY, *METRICS} <= set(found)
    assert not [file for file in found if "/causal/" in file or "/models/" in file]


def test_a_class_more_learns_its_graph_alone(fresh):
    found = overlay(fresh, **causal_run(fresh, classes=[0, 3, 7]))
    graphs = [file for file in found if file.endswith("graph.json")]
    assert graphs == [CAUSAL["class0"].replace("class0", "class7")]


def test_graphs_that_are_not_learnt_are_taken_as_they_are(fresh):
    """`learn: false`: another way of learning makes no graph again; a missing file is one line, before anything runs."""
    append(fresh / "src/plumbline/causal/effects.py", "\n# A remark.\n")
    found = overlay(fresh, **causal_run(fresh, learn=False))
    assert not [file for file in found if file.endswith("graph.json")]
    (fresh / CAUSAL["class3"]).unlink()
    done = workflow.snakemake(fresh, "-n", "--configfile", workflow.TINY, "overlay.yaml")
    assert done.returncode != 0
    (line,) = workflow.error_lines(done.stdout)
    assert f"{CAUSAL['class3']} is not there" in line
    assert "learn: true" in line


def test_bootstrap_reruns_what_has_intervals(fresh):
    found = overlay(fresh, bootstrap={"resamples": 300})
    assert set(AGREEMENT + tables("comp_suff", "agreement", "rationale")) <= set(found)
    assert not [
        path for path in found if "/attributions/" in path or "/faithfulness/" in path or "/models/" in path
    ]


def test_protocol_readouts_rerun_the_methods_concerned(fresh):
    """Without rollout under `mask`, the attention method's curves are stale, and no other's."""
    entries = yaml.safe_load((fresh / workflow.TINY).read_text())["faithfulness"]
    entries[-1]["readouts"] = ["alti"]
    found = overlay(fresh, faithfulness=entries)
    assert [path for path in found if "/faithfulness/" in path] == at("faithfulness", "attention")
    assert not [path for path in found if "/attributions/" in path]


def test_comment_in_a_protocol_reruns_faithfulness(fresh):
    append(fresh / "src/plumbline/faithfulness/standard.py", "\n# A remark.\n")
    found = workflow.planned(fresh, "--configfile", workflow.TINY)
    assert [path for path in found if "/faithfulness/" in path] == sorted(at("faithfulness", *METHODS))
    assert not [path for path in found if "/attributions/" in path]


def test_device_and_threads_make_nothing_stale(fresh):
    """Results agree across them within the stated tolerances, so they are resources, not parameters."""
    assert overlay(fresh, device="cuda", torch_threads=2) == []


def test_one_lost_figure_is_remade_alone(fresh):
    (fresh / "results/tiny/figures/alti/deletion_curves-sentiment-tiny.png").unlink()
    assert workflow.planned(fresh, "--configfile", workflow.TINY) == figures("deletion_curves")
