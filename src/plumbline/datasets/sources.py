"""Where files come from: a mirror folder, the Hugging Face hub, a URL. No file is used unchecked.

A mirror folder holds SHA256SUMS (`sha256  relative/path` a line); every file read from it is checked.
Downloads are checked against the checksum in the registry, where it is known, and against the lock file.
The lock file (JSON) pins what was not pinned: the commit behind a branch of a hub repository, and the
sha256 of each file, are written at the first download; later downloads must give the same.

    {"hub": {"dataset/owner/name@main": {"commit": "<40 hex>", "files": {"<path>": "<sha256>"}}},
     "url": {"<url>": "<sha256>"}}

A mirror folder that `snakemake mirror` has filled (`mirror.collect`) also holds what is else downloaded, below hub/ and
url/: what it lists is taken from there, checked in the same way, and no network is needed.

Every fault is one PlumblineError that names the file, the host, and what to do without network. A file
appears at its destination whole or not at all.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from ..artefacts import atomic, read_json, temporary_prefix, write_json
from ..errors import PlumblineError

CHECKOUT = Path(__file__).resolve().parents[3]
# What first downloads have pinned: of the checkout, which may commit it; of the working directory where there is no checkout.
LOCK = (CHECKOUT if (CHECKOUT / "Snakefile").is_file() else Path()) / "resources" / "lock.json"
TIMEOUT = 10, 60  # seconds: to connect, between two bytes
COMMIT = re.compile(r"[0-9a-f]{40}")
SUMS = "SHA256SUMS"
MANIFEST = "manifest.json"
# The files of a checkpoint for `fetch_snapshot`: config.json first, as every repository has it.
CHECKPOINT = (
    "config.json",
    "model.safetensors|pytorch_model.bin",
    "tokenizer.json|vocab.txt|vocab.json|spiece.model",
    "tokenizer_config.json?",
    "special_tokens_map.json?",
    "merges.txt?",
    "sentencepiece.bpe.model?",
)


class NotThere(PlumblineError):
    """The host answers, and says that it has no such file."""


def sha256_of(path):
    """Return the sha256 of a file's bytes, as 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---------------------------------------------------------------- mirror


def mirror_file(mirror, relative):
    """Return the path of a file in the mirror folder, checked against the folder's SHA256SUMS.

    Parameters
    ----------
    mirror : path, optional
        The folder. None or '': the environment's PLUMBLINE_MIRROR.
    relative : str
        The file, relative to the folder.

    Returns
    -------
    Path

    Raises
    ------
    PlumblineError
        Where the folder, the file or its line in SHA256SUMS is missing, and for a wrong checksum.
    """
    mirror = mirror or os.environ.get("PLUMBLINE_MIRROR")
    if not mirror:
        raise PlumblineError(
            f"no mirror folder for {relative}: set `mirror:` in the config or PLUMBLINE_MIRROR"
        )
    mirror = Path(mirror)
    if not mirror.is_dir():
        raise PlumblineError(
            f"the mirror folder {mirror} does not exist: set `mirror:` in the config or "
            f"PLUMBLINE_MIRROR to a folder that holds {relative} and {SUMS}"
        )
    path = mirror / relative
    if not path.is_file():
        raise PlumblineError(
            f"the mirror {mirror} has no {relative}: copy the file there and add its line to "
            f"{SUMS} (sha256sum {relative} >> {SUMS}); docs/datasets.md says what it holds"
        )
    expected = sums(mirror).get(relative)
    if expected is None:
        raise PlumblineError(
            f"{mirror / SUMS} does not list {relative}: after checking the file, add its line "
            f"(sha256sum {relative} >> {SUMS})"
        )
    actual = sha256_of(path)
    if actual != expected:
        raise PlumblineError(
            f"wrong checksum of {path}: {actual}, but {SUMS} says {expected}: copy the file again"
        )
    return path


def sums(mirror):
    """Read a folder's SHA256SUMS.

    Parameters
    ----------
    mirror : Path
        The folder.

    Returns
    -------
    dict
        Relative path -> sha256.

    Raises
    ------
    PlumblineError
        Where there is no such file.
    """
    try:
        lines = (mirror / SUMS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise PlumblineError(
            f"the mirror {mirror} has no {SUMS}: make it there with "
            f"`find . -type f ! -name {SUMS} -printf '%P\\0' | xargs -0 sha256sum > {SUMS}`"
        ) from None
    # The two characters after the checksum are blanks, or a blank and a star (binary mode).
    return {line[66:].removeprefix("./"): line[:64].lower() for line in lines if line.strip()}


def hub_place(repo, repo_type, revision, filename=""):
    """Return where a mirror has a hub repository's file, relative to the mirror folder.

    Parameters
    ----------
    repo : str
        owner/name.
    repo_type : {'model', 'dataset'}
        Its type.
    revision : str or None
        A commit, a branch or a tag. None: main.
    filename : str
        Of the repository; '' for its folder.

    Returns
    -------
    str
    """
    return f"hub/{repo_type}/{repo}@{revision or 'main'}/{filename}"


def hub_key(item):
    """Return a hub item's key in the lock file."""
    return f"{item['repo_type']}/{item['repo']}@{item['revision'] or 'main'}"


def url_place(url):
    """Return where a mirror has what a URL gives, relative to the mirror folder."""
    parts = urlsplit(url)
    return f"url/{parts.netloc}{parts.path}"


def manifest():
    """Read the manifest of the downloads that PLUMBLINE_MIRROR holds.

    Returns
    -------
    mirror : Path or None
        The mirror folder. None without any.
    listed : dict
        Path in it -> its entry.
    """
    mirror = os.environ.get("PLUMBLINE_MIRROR")
    if not mirror or not (Path(mirror) / MANIFEST).is_file():
        return None, {}
    return Path(mirror), {entry["path"]: entry for entry in read_json(Path(mirror) / MANIFEST)["files"]}


def _copied(path, destination):
    with atomic(destination) as temporary:
        shutil.copyfile(path, temporary)
    return Path(destination)


# ---------------------------------------------------------------- lock file


@contextlib.contextmanager
def locked(lock):
    """Yield the lock file's content to read and change; write it back if it changed. One process at a time.

    Parameters
    ----------
    lock : path
        The lock file.

    Yields
    ------
    dict
        See the module.
    """
    lock = Path(lock)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock.with_name(f".{lock.name}.guard"), "a") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # released when the file is closed, or its process dies
        pins = read_json(lock) if lock.exists() else {}
        pins.setdefault("hub", {})
        pins.setdefault("url", {})
        before = repr(pins)
        yield pins
        if repr(pins) != before:
            write_json(lock, pins)


def _verify(pins, key, actual, expected, *, what, lock):
    """Check a downloaded file's sha256 against the registry's and the lock's; pin it where it is new."""
    if expected and actual != expected:
        raise PlumblineError(
            f"wrong checksum of {what}: {actual}, expected {expected}: run the same command "
            "again; if it stays, the source has changed"
        )
    if pins.setdefault(key, actual) != actual:
        raise PlumblineError(
            f"{what} is not the file of the first download: its sha256 is {actual}, {lock} pins "
            f"{pins[key]}; to accept the new file, remove that line from {lock}"
        )


# ---------------------------------------------------------------- hub


def endpoint():
    """Return the hub's address: HF_ENDPOINT, or https://huggingface.co."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def fetch_hub(repo, filename, destination, *, repo_type="model", revision=None, sha256=None, lock=LOCK):
    """Download one file of a hub repository; the mirror's copy is taken where it lists the repository.

    Parameters
    ----------
    repo : str
        owner/name.
    filename : str
        Of the repository.
    destination : path
        The file to write.
    repo_type : {'model', 'dataset'}
        Its type.
    revision : str, optional
        A commit, a branch or a tag. None: main. What is no commit is resolved at the first download and pinned in `lock`.
    sha256 : str, optional
        What the file must have.
    lock : path
        The lock file.

    Returns
    -------
    Path
        The destination.

    Raises
    ------
    PlumblineError
        For a wrong checksum, another commit than the pinned one, and what the host refuses.
    NotThere
        Where the repository exists and lacks the file.
    """
    mirror, listed = manifest()
    folder = hub_place(repo, repo_type, revision)
    if not any(path.startswith(folder) for path in listed):
        return download_hub(
            repo, filename, destination, repo_type=repo_type, revision=revision, sha256=sha256, lock=lock
        )
    if folder + filename not in listed:
        raise NotThere(f"the mirror {mirror} lists {repo_type} {repo} without {filename}")
    commit, key = listed[folder + filename]["commit"], f"{repo_type}/{repo}@{revision or 'main'}"
    path = mirror_file(mirror, folder + filename)
    with locked(lock) as pins:
        pin = pins["hub"].setdefault(key, {"commit": commit, "files": {}})
        if pin["commit"] != commit:
            raise PlumblineError(
                f"the mirror {mirror} has commit {commit} of {repo_type} {repo}, {lock} pins "
                f"{pin['commit']}: run `snakemake mirror` again, with that {lock}"
            )
        _verify(pin["files"], filename, sums(mirror)[folder + filename], sha256, what=path, lock=lock)
    return _copied(path, destination)


def download_hub(repo, filename, destination, *, repo_type="model", revision=None, sha256=None, lock=LOCK):
    """Download one file of a hub repository from the hub itself.

    Parameters
    ----------
    repo, filename, destination, repo_type, revision, sha256, lock
        See `fetch_hub`.

    Returns
    -------
    Path
        The destination.

    Raises
    ------
    PlumblineError
        As `fetch_hub`.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    destination = Path(destination)
    destination.parent.mkdir(parents=True, exist_ok=True)
    key = f"{repo_type}/{repo}@{revision or 'main'}"
    what = f"{filename} of {repo_type} {repo} at {_host(endpoint())}"
    commit, _ = head_hub(repo, filename, repo_type=repo_type, revision=revision, lock=lock)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=temporary_prefix("download")) as folder:
        with _hub_faults(what):
            path = hf_hub_download(
                repo, filename, repo_type=repo_type, revision=commit, local_dir=folder, endpoint=endpoint()
            )
        actual = sha256_of(path)
        with locked(lock) as pins:
            _verify(pins["hub"][key]["files"], filename, actual, sha256, what=what, lock=lock)
        with atomic(destination) as temporary:
            os.replace(path, temporary)
    return destination


def head_hub(repo, filename, *, repo_type="model", revision=None, lock=LOCK):
    """Ask the hub for a file's commit and size.

    It is one HEAD request. It also finds an unreachable host or a missing file at once, without retries.

    Parameters
    ----------
    repo, filename, repo_type, revision, lock
        See `fetch_hub`.

    Returns
    -------
    commit : str
        The pinned commit, or the one that the revision names now, which is pinned with it.
    size : int
        In bytes.

    Raises
    ------
    PlumblineError
        As `fetch_hub`.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import RevisionNotFoundError

    what = f"{filename} of {repo_type} {repo} at {_host(endpoint())}"
    key = f"{repo_type}/{repo}@{revision or 'main'}"
    with locked(lock) as pins:
        pinned = pins["hub"].get(key, {}).get("commit")
        wanted = pinned or revision or "main"
        url = hf_hub_url(repo, filename, repo_type=repo_type, revision=wanted, endpoint=endpoint())
        commit = size = None
        with _hub_faults(what), contextlib.suppress(RevisionNotFoundError):
            found = get_hf_file_metadata(url, timeout=TIMEOUT[0])
            commit, size = found.commit_hash, found.size
        if commit is None and not COMMIT.fullmatch(wanted):
            raise PlumblineError(f"cannot fetch {what}: there is no revision '{wanted}'; correct `revision:`")
        if COMMIT.fullmatch(wanted) and commit != wanted:
            source = (
                f"{lock} pins commit {wanted}"
                if pinned and pinned != revision
                else f"the config asks for {wanted}"
            )
            raise PlumblineError(
                f"cannot fetch {what}: {source}, but the host gives {commit or 'no such commit'}; to "
                f"accept another revision, change it there"
            )
        pins["hub"].setdefault(key, {"commit": commit, "files": {}})
    return commit, size


def licence_hub(repo, *, repo_type="model", revision=None):
    """Return the licence that a hub repository's card states.

    Parameters
    ----------
    repo, repo_type, revision
        See `fetch_hub`.

    Returns
    -------
    str or None

    Raises
    ------
    PlumblineError
        As `fetch_hub`.
    """
    from huggingface_hub import HfApi

    with _hub_faults(f"the card of {repo_type} {repo} at {_host(endpoint())}"):
        card = HfApi(endpoint=endpoint()).repo_info(repo, repo_type=repo_type, revision=revision).card_data
    return card and card.get("license")


@contextlib.contextmanager
def _hub_faults(what):
    """Turn what huggingface_hub raises into one PlumblineError about `what`."""
    from huggingface_hub import errors

    try:
        yield
    except errors.RemoteEntryNotFoundError:
        raise NotThere(f"cannot fetch {what}: the repository has no such file; correct the name") from None
    except errors.GatedRepoError:
        raise PlumblineError(
            f"cannot fetch {what}: the repository is gated; accept its terms there and set HF_TOKEN"
        ) from None
    except errors.RepositoryNotFoundError:
        raise PlumblineError(
            f"cannot fetch {what}: no such repository, or a private one; correct `repo:` or set HF_TOKEN"
        ) from None
    except errors.OfflineModeIsEnabled:
        raise PlumblineError(f"cannot fetch {what}: HF_HUB_OFFLINE is set; unset it for downloads") from None
    except (errors.HTTPError, errors.LocalEntryNotFoundError, errors.FileMetadataError) as fault:
        raise PlumblineError(f"cannot fetch {what}: {_first_line(fault)}. {_without_network()}") from fault
    except OSError as fault:
        if fault.errno is not None:  # the machine's own, a full disk for one
            raise
        raise PlumblineError(f"cannot fetch {what}: {_first_line(fault)}. {_without_network()}") from fault


def fetch_snapshot(repo, folder, wanted, *, repo_type="model", revision=None, lock=LOCK):
    """Download files of one commit of a hub repository, under their own names.

    Parameters
    ----------
    repo : str
        owner/name.
    folder : path
        Where they are written.
    wanted : iterable of str
        A name an item. `a|b` is the first of them that the repository has; a trailing `?` marks what may be missing:
        ['config.json', 'model.safetensors|pytorch_model.bin', 'tokenizer.json|vocab.txt', 'merges.txt?']. Put a certain file
        first: it pins the commit.
    repo_type, revision, lock
        See `fetch_hub`.

    Returns
    -------
    list of Path
        What was found, in the order of `wanted`.

    Raises
    ------
    PlumblineError
        As `fetch_hub`.
    NotThere
        For a missing file that is not marked.
    """
    found = []
    for item in wanted:
        names = item.removesuffix("?").split("|")
        for name in names:
            with contextlib.suppress(NotThere):
                found.append(
                    fetch_hub(
                        repo, name, Path(folder) / name, repo_type=repo_type, revision=revision, lock=lock
                    )
                )
                break
        else:
            if not item.endswith("?"):
                raise NotThere(f"{repo_type} {repo} at {_host(endpoint())} has no {' or '.join(names)}")
    return found


# ---------------------------------------------------------------- url


def fetch_url(url, destination, *, sha256=None, lock=LOCK):
    """Download a URL, or copy it from the mirror that lists it.

    Parameters
    ----------
    url : str
        The address.
    destination : path
        The file to write.
    sha256 : str, optional
        What the file must have.
    lock : path
        The lock file, against which the file is checked too.

    Returns
    -------
    Path
        The destination.

    Raises
    ------
    PlumblineError
        For a wrong checksum, and what the host refuses.
    NotThere
        Where the host has no such file.
    """
    mirror, listed = manifest()
    if (place := url_place(url)) not in listed:
        return download_url(url, destination, sha256=sha256, lock=lock)
    path = mirror_file(mirror, place)
    with locked(lock) as pins:
        _verify(pins["url"], url, sums(mirror)[place], sha256, what=path, lock=lock)
    return _copied(path, destination)


def download_url(url, destination, *, sha256=None, lock=LOCK):
    """Download a URL from the host itself, streamed.

    Parameters
    ----------
    url, destination, sha256, lock
        See `fetch_url`.

    Returns
    -------
    Path
        The destination.

    Raises
    ------
    PlumblineError
        As `fetch_url`.
    """
    import requests

    what = f"{Path(urlsplit(url).path).name} from {_host(url)} ({url})"
    with atomic(destination) as temporary:
        try:
            # identity: so that Content-Length counts the bytes that are written.
            with requests.get(
                url, stream=True, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"}
            ) as answer:
                if answer.status_code != 200:
                    kind = NotThere if answer.status_code == 404 else PlumblineError
                    raise kind(
                        f"cannot fetch {what}: the host answers {answer.status_code} {answer.reason}. "
                        f"{_without_network()}"
                    )
                with open(temporary, "wb") as out:
                    for chunk in answer.iter_content(1 << 20):
                        out.write(chunk)
        except requests.RequestException as fault:
            raise PlumblineError(f"cannot fetch {what}: {_reason(fault)}. {_without_network()}") from fault
        expected = int(answer.headers.get("Content-Length", os.path.getsize(temporary)))
        if os.path.getsize(temporary) != expected:
            raise PlumblineError(
                f"cannot fetch {what}: {os.path.getsize(temporary)} of {expected} bytes came; run "
                "the same command again"
            )
        with locked(lock) as pins:
            _verify(pins["url"], url, sha256_of(temporary), sha256, what=what, lock=lock)
    return Path(destination)


def head_url(url):
    """Ask a host how many bytes a URL has.

    Parameters
    ----------
    url : str
        The address.

    Returns
    -------
    int or None
        None where the host does not say it.

    Raises
    ------
    PlumblineError
        For an unreachable host.
    """
    import requests

    what = f"{Path(urlsplit(url).path).name} from {_host(url)} ({url})"
    try:
        answer = requests.head(
            url, timeout=TIMEOUT, allow_redirects=True, headers={"Accept-Encoding": "identity"}
        )
    except requests.RequestException as fault:
        raise PlumblineError(f"cannot fetch {what}: {_reason(fault)}. {_without_network()}") from fault
    size = answer.headers.get("Content-Length", "")
    return int(size) if answer.ok and size.isdigit() else None


def fetch(item, destination, *, lock=LOCK):
    """Fetch one raw file of a data set.

    Parameters
    ----------
    item : dict
        Of `plumbline.datasets.raw_files`.
    destination : path
        The file to write.
    lock : path
        The lock file.

    Returns
    -------
    Path
        The destination.

    Raises
    ------
    PlumblineError
        As `fetch_hub` and `fetch_url`.
    """
    if item["kind"] == "url":
        return fetch_url(item["url"], destination, sha256=item["sha256"], lock=lock)
    return fetch_hub(
        item["repo"],
        item["filename"],
        destination,
        repo_type=item["repo_type"],
        revision=item["revision"],
        sha256=item["sha256"],
        lock=lock,
    )


def _host(url):
    return urlsplit(url).netloc


def _first_line(fault):
    return (str(fault).strip() or type(fault).__name__).splitlines()[0].rstrip(".")


def _reason(fault):
    """The words of a requests fault that a person needs: its innermost cause."""
    while fault.args and isinstance(getattr(fault.args[0], "reason", fault.args[0]), Exception):
        fault = getattr(fault.args[0], "reason", fault.args[0])
    return _first_line(fault)


def _without_network():
    return (
        "Run it again when the host answers; without network, use a mirror folder, which `snakemake mirror` fills "
        "where there is one, or a hub mirror named by HF_ENDPOINT (docs/datasets.md)"
    )
