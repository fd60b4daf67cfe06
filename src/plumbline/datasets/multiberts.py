"""The released attributions of eleven MultiBERTs fine-tuned on SST-2: scores of 1,000 test sentences, seed by seed.

They come with the ALTI reference (mt-upc/transformer-contributions, Apache-2.0; Ferrando et al. 2022) and are no
data set of the registry: there are scores and predicted classes, and no texts. Sources:

url       data/multiberts-seed_{k}_sst2_attributions.npy of the reference's commit 4f89039: pickled dictionaries,
          read by restricted_npy, which runs no code of theirs. Gradients of IG are float64 there, all else float32.
mirror    multiberts_sst2/seed_{k}.parquet: the same, a row a sentence, all as float32.
matrices  published/multiberts_sst2_seeds.json: no scores, but the published result, the mean correlation of every
          two of seeds 0 to 9 for the six readouts of the published figure.

The published figure and its matrices have the seeds 0 to 9; seed 10 was released and not shown.
"""

from importlib import resources
from pathlib import Path

from ..errors import PlumblineError
from .sources import mirror_file

MODEL, DATASET = "multiberts", "sst2"
LICENCE = "Apache-2.0 (mt-upc/transformer-contributions)"
SEEDS = tuple(range(11))
PUBLISHED_SEEDS = SEEDS[:10]
MATRICES = resources.files("plumbline") / "published" / "multiberts_sst2_seeds.json"
COMMIT = "4f89039821c95fe618fa0f63beb783ba72b49485"
URL = (
    f"https://raw.githubusercontent.com/mt-upc/transformer-contributions/{COMMIT}"
    "/data/multiberts-seed_{seed}_sst2_attributions.npy"
)

# Our readout -> the mirror's column, the key in the released files. ALTI's arrays have ddof 0.
READOUTS = {
    "raw_attention": ("raw_attention", "raw"),
    "rollout": ("rollout", "rollout"),
    "norm_rollout": ("norm_rollout", "norm"),
    "globenc_published": ("globenc_unnormalised", "norm2"),
    "alti": ("alti", "ours"),
    "alti_l2": ("alti_l2", "ours_l2"),
    "alti_ln2": ("alti_ln2", "ours2"),
    "grad_l2_published": ("grad_l2", "grad"),
    "gxi_l2_published": ("gxi_l2", "grad_input_l2"),
    "gxi_mean_abs_published": ("gxi_mean_abs", "grad_input_mean_abs_mean"),
    "ig_l2_published": ("ig_l2", "ig_l2"),
    "ig_mean_abs_published": ("ig_mean_abs", "ig_abs_mean"),
    "blankout_published": ("blankout", "blankout"),
}


def downloads():
    """Return the files of source url.

    Returns
    -------
    dict
        File name -> what `sources.fetch` takes; checksums are pinned at the first download.
    """
    found = {}
    for seed in SEEDS:
        url = URL.format(seed=seed)
        name = url.rsplit("/", 1)[1]
        found[name] = {"name": name, "kind": "url", "url": url, "sha256": None}
    return found


def load(source, *, mirror=None, folder=None):
    """Read the predictions and scores of every seed.

    Parameters
    ----------
    source : {'mirror', 'url'}
        Where the files come from.
    mirror : path, optional
        Its folder, PLUMBLINE_MIRROR where None.
    folder : path, optional
        Where the downloads lie, for source url.

    Returns
    -------
    dict
        Seed -> (predicted classes, readout -> one 1-D float array (tokens,) a sentence), sentences in the file's order.

    Raises
    ------
    PlumblineError
        For a missing, altered or damaged file, and where seeds differ in their tokens.
    """
    if source == "mirror":
        files = {seed: mirror_file(mirror, f"multiberts_sst2/seed_{seed}.parquet") for seed in SEEDS}
    else:
        files = {seed: Path(folder) / name for seed, name in zip(SEEDS, downloads(), strict=True)}
    found = {}
    for seed, path in files.items():
        found[seed] = _parquet(path) if source == "mirror" else _released(path)
        _check(*found[seed], path)
    return found


def _parquet(path):
    from ..artefacts import read_rows

    rows = read_rows(path, ["pred_class", *(column for column, _ in READOUTS.values())])
    scores = {readout: list(rows[column]) for readout, (column, _) in READOUTS.items()}
    return rows["pred_class"].tolist(), scores


def _released(path):
    import numpy as np

    from .restricted_npy import read

    content = read(path)
    missing = {"pred_class", *(key for _, key in READOUTS.values())} - set(content)
    if missing:
        raise PlumblineError(f"{path} has no {', '.join(sorted(missing))}: it is not the released file")
    scores = {readout: list(content[key]) for readout, (_, key) in READOUTS.items()}
    return [int(np.asarray(item).item()) for item in content["pred_class"]], scores


def _check(predictions, scores, path):
    """Every readout has one vector of finite numbers a sentence, all of a sentence's of one length; a class is 0 or 1."""
    import numpy as np

    wrong = [row for row, label in enumerate(predictions) if label not in (0, 1)]
    if wrong:
        raise PlumblineError(
            f"row {wrong[0]} of {path} has the pred_class {predictions[wrong[0]]}; legal: 0, 1"
        )
    lengths = {
        readout: [getattr(item, "shape", None) for item in vectors] for readout, vectors in scores.items()
    }
    first = lengths["alti"]
    if len(first) != len(predictions) or any(shape is None or len(shape) != 1 for shape in first):
        raise PlumblineError(f"{path} has not one vector of scores a sentence: it is not the released file")
    for readout, found in lengths.items():
        if found != first:
            raise PlumblineError(f"{path}: the scores of {readout} have other tokens than ALTI's")
        for row, vector in enumerate(scores[readout]):
            if not np.isfinite(np.asarray(vector, dtype=np.float64)).all():
                raise PlumblineError(
                    f"row {row} of {path}: a score of {readout} is not finite: copy the file again"
                )


def matrices(path=MATRICES):
    """Read the published result.

    Parameters
    ----------
    path : path
        The JSON file.

    Returns
    -------
    dict
        Readout -> numpy.ndarray, float64, (seeds, seeds): mean dense-rank Spearman correlations.
    """
    import numpy as np

    from ..artefacts import read_json

    return {readout: np.array(rows) for readout, rows in read_json(path)["matrices"].items()}
