"""Where files come from: a mirror folder, the Hugging Face hub, a URL. No file is used unchecked.

A mirror folder holds SHA256SUMS (`sha256  relative/path` a line); every file read from it is checked.
Downloads are checked against the checksum in the registry, where it is known, and against the lock file.
The lock file (JSON) pins what was not pinned: the commit behind a branch of a hub repository, and the
sha256 of each file, are written at the first download; later downloads must give the same.

    {"hub": {"dataset/owner/name@main": {"commit": "<40 hex>", "files": {"<path>": "<sha256>"}}},
     "url": {"<url>": "<sha256>"}}

Every fault is one PlumblineError that names the file, the host, and what to do without network. A file
appears at its destination whole or not at all.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from ..artefacts import atomic, read_json, write_json
from ..errors import PlumblineError

LOCK = "resources/lock.json"
TIMEOUT = 10, 60  # seconds: to connect, between two bytes
COMMIT = re.compile(r"[0-9a-f]{40}")
SUMS = "SHA256SUMS"


class NotThere(PlumblineError):
    """The host answers, and says that it has no such file."""


def sha256_of(path):
    """The sha256 of a file's bytes, as 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---------------------------------------------------------------- mirror


def mirror_file(mirror, relative):
    """The path of `relative` in the mirror folder, checked against the folder's SHA256SUMS.

    mirror: the folder; None or '' means the environment's PLUMBLINE_MIRROR.
    """
    mirror = mirror or os.environ.get("PLUMBLINE_MIRROR")
    if not mirror:
        raise PlumblineError(
            f"no mirror folder for {relative}: set `mirror:` in the config or PLUMBLINE_MIRROR"
        )
    mirror = Path(mirror)
    if not mirror.is_dir():
        raise PlumblineError(f"the mirror folder {mirror} does not exist: set `mirror:` in the config or "
                             f"PLUMBLINE_MIRROR to a folder that holds {relative} and {SUMS}")  # fmt: skip
    path = mirror / relative
    if not path.is_file():
        raise PlumblineError(f"the mirror {mirror} has no {relative}: copy the file there and add its line to "
                             f"{SUMS} (sha256sum {relative} >> {SUMS}); docs/datasets.md says what it holds")  # fmt: skip
    expected = sums(mirror).get(relative)
    if expected is None:
        raise PlumblineError(f"{mirror / SUMS} does not list {relative}: after checking the file, add its line "
                             f"(sha256sum {relative} >> {SUMS})")  # fmt: skip
    actual = sha256_of(path)
    if actual != expected:
        raise PlumblineError(
            f"wrong checksum of {path}: {actual}, but {SUMS} says {expected}: copy the file again"
        )
    return path


def sums(mirror):
    """Relative path -> sha256, as a folder's SHA256SUMS lists them."""
    try:
        lines = (mirror / SUMS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise PlumblineError(f"the mirror {mirror} has no {SUMS}: make it there with "
                             f"`find . -type f ! -name {SUMS} -printf '%P\\0' | xargs -0 sha256sum > {SUMS}`") from None  # fmt: skip
    # The two characters after the checksum are blanks, or a blank and a star (binary mode).
    return {line[66:].removeprefix("./"): line[:64].lower() for line in lines if line.strip()}


# ---------------------------------------------------------------- lock file


@contextlib.contextmanager
def locked(lock):
    """Yield the lock file's content to read and change; write it back if it changed. One process at a time."""
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
        raise PlumblineError(f"wrong checksum of {what}: {actual}, expected {expected}: run the same command "
                             "again; if it stays, the source has changed")  # fmt: skip
    if pins.setdefault(key, actual) != actual:
        raise PlumblineError(f"{what} is not the file of the first download: its sha256 is {actual}, {lock} pins "
                             f"{pins[key]}; to accept the new file, remove that line from {lock}")  # fmt: skip


# ---------------------------------------------------------------- hub


def endpoint():
    """The hub's address: HF_ENDPOINT, or https://huggingface.co."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def fetch_hub(repo, filename, destination, *, repo_type="model", revision=None, sha256=None, lock=LOCK):
    """Download one file of a hub repository to `destination`.

    revision: a commit, a branch or a tag; None means main. What is no commit is resolved at the first
    download and pinned in `lock`. Returns the destination. Raises PlumblineError; NotThere where the
    repository exists and lacks the file.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    destination = Path(destination)
    destination.parent.mkdir(parents=True, exist_ok=True)
    key = f"{repo_type}/{repo}@{revision or 'main'}"
    what = f"{filename} of {repo_type} {repo} at {_host(endpoint())}"
    with locked(lock) as pins:
        commit = _commit(
            pins["hub"].get(key, {}).get("commit"), repo, filename, repo_type, revision, what, lock
        )
        pins["hub"].setdefault(key, {"commit": commit, "files": {}})
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".download-") as folder:
        with _hub_faults(what):
            path = hf_hub_download(repo, filename, repo_type=repo_type, revision=commit, local_dir=folder,
                                   endpoint=endpoint())  # fmt: skip
        actual = sha256_of(path)
        with locked(lock) as pins:
            _verify(pins["hub"][key]["files"], filename, actual, sha256, what=what, lock=lock)
        with atomic(destination) as temporary:
            os.replace(path, temporary)
    return destination


def _commit(pinned, repo, filename, repo_type, revision, what, lock):
    """The commit to download from: the pinned one, or the one that the revision names now.

    One HEAD request: it also finds an unreachable host or a missing file at once, without retries.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import RevisionNotFoundError

    wanted = pinned or revision or "main"
    url = hf_hub_url(repo, filename, repo_type=repo_type, revision=wanted, endpoint=endpoint())
    with _hub_faults(what):
        try:
            commit = get_hf_file_metadata(url, timeout=TIMEOUT[0]).commit_hash
        except RevisionNotFoundError:
            commit = None
    if commit is None and not COMMIT.fullmatch(wanted):
        raise PlumblineError(f"cannot fetch {what}: there is no revision '{wanted}'; correct `revision:`")
    if COMMIT.fullmatch(wanted) and commit != wanted:
        source = (
            f"{lock} pins commit {wanted}"
            if pinned and pinned != revision
            else f"the config asks for {wanted}"
        )
        raise PlumblineError(f"cannot fetch {what}: {source}, but the host gives {commit or 'no such commit'}; to "
                             f"accept another revision, change it there")  # fmt: skip
    return commit


@contextlib.contextmanager
def _hub_faults(what):
    """Turn what huggingface_hub raises into one PlumblineError about `what`."""
    from huggingface_hub import errors

    try:
        yield
    except errors.RemoteEntryNotFoundError:
        raise NotThere(f"cannot fetch {what}: the repository has no such file; correct the name") from None
    except errors.GatedRepoError:
        raise PlumblineError(f"cannot fetch {what}: the repository is gated; accept its terms there and set HF_TOKEN"
                             ) from None  # fmt: skip
    except errors.RepositoryNotFoundError:
        raise PlumblineError(f"cannot fetch {what}: no such repository, or a private one; correct `repo:` or set "
                             "HF_TOKEN") from None  # fmt: skip
    except errors.OfflineModeIsEnabled:
        raise PlumblineError(f"cannot fetch {what}: HF_HUB_OFFLINE is set; unset it for downloads") from None
    except (errors.HTTPError, errors.LocalEntryNotFoundError, errors.FileMetadataError) as fault:
        raise PlumblineError(f"cannot fetch {what}: {_first_line(fault)}. {_without_network()}") from fault
    except OSError as fault:
        if fault.errno is not None:  # the machine's own, a full disk for one
            raise
        raise PlumblineError(f"cannot fetch {what}: {_first_line(fault)}. {_without_network()}") from fault


def fetch_snapshot(repo, folder, wanted, *, repo_type="model", revision=None, lock=LOCK):
    """Download files of one commit of a hub repository into `folder`, under their own names.

    wanted: a name an item; `a|b` is the first of them that the repository has, a trailing `?` marks what
    may be missing: ['config.json', 'model.safetensors|pytorch_model.bin', 'tokenizer.json|vocab.txt', 'merges.txt?'].
    Returns the paths of what was found, in that order. Put a certain file first: it pins the commit.
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
    """Download a URL to `destination`, streamed; its sha256 is checked against `sha256` and the lock."""
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
                    raise kind(f"cannot fetch {what}: the host answers {answer.status_code} {answer.reason}. "
                               f"{_without_network()}")  # fmt: skip
                with open(temporary, "wb") as out:
                    for chunk in answer.iter_content(1 << 20):
                        out.write(chunk)
        except requests.RequestException as fault:
            raise PlumblineError(f"cannot fetch {what}: {_reason(fault)}. {_without_network()}") from fault
        expected = int(answer.headers.get("Content-Length", os.path.getsize(temporary)))
        if os.path.getsize(temporary) != expected:
            raise PlumblineError(f"cannot fetch {what}: {os.path.getsize(temporary)} of {expected} bytes came; run "
                                 "the same command again")  # fmt: skip
        with locked(lock) as pins:
            _verify(pins["url"], url, sha256_of(temporary), sha256, what=what, lock=lock)
    return Path(destination)


def fetch(item, destination, *, lock=LOCK):
    """Download one item of `plumbline.datasets.raw_files` to `destination`."""
    if item["kind"] == "url":
        return fetch_url(item["url"], destination, sha256=item["sha256"], lock=lock)
    return fetch_hub(item["repo"], item["filename"], destination, repo_type=item["repo_type"],
                     revision=item["revision"], sha256=item["sha256"], lock=lock)  # fmt: skip


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
    return ("Run it again when the host answers; without network, use `source: mirror` and a mirror folder, or "
            "serve the file from a hub mirror named by HF_ENDPOINT (docs/datasets.md)")  # fmt: skip
