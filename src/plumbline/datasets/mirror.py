"""Mirror folders: a SHA256SUMS over every file, and a run that reads them needs no network.

`collect` is what `snakemake mirror` does: it fetches all that a configuration downloads. `assemble` makes one of folders
that lie elsewhere, by links to them:

    python -m plumbline.datasets.mirror DEST FOLDER...

Each FOLDER is linked into DEST under its own name; FOLDER=NAME gives it another. Where a folder, or the folder that it
lies in, has a SHA256SUMS of its own, its files must agree with it. DEST must be empty or new; nothing is copied, so the
folders have to stay where they are. Then name DEST in `mirror:` or PLUMBLINE_MIRROR.
"""

import shutil
import sys
from pathlib import Path

from ..artefacts import read_json, write_json, write_text
from ..errors import PlumblineError, one_line_errors
from .sources import (
    CHECKPOINT,
    LOCK,
    MANIFEST,
    SUMS,
    NotThere,
    download_hub,
    download_url,
    head_hub,
    head_url,
    hub_key,
    hub_place,
    licence_hub,
    locked,
    sha256_of,
    sums,
    url_place,
)


def collect(folder, items, checkpoints, *, lock=LOCK, say=print):
    """Fetch what a configuration downloads into a mirror folder, and write SHA256SUMS and manifest.json.

    A file that is there, of the same commit and as SHA256SUMS says, is not fetched again, so a run that was stopped goes on.
    What else the folder holds, its lines in SHA256SUMS and what another configuration has put into manifest.json stay.

    Parameters
    ----------
    folder : path
        The mirror folder. Files lie below hub/ and url/.
    items : list of dict
        Of `datasets.raw_files`, each with its `licence` (None: the repository's card says it).
    checkpoints : list of tuple
        (repo, revision) of hub models, whose files `sources.CHECKPOINT` names.
    lock : path
        The lock file.
    say : callable
        Takes the lines for the user: first how many files and bytes there are and are to come, before any is fetched.

    Returns
    -------
    dict
        The manifest: {"bytes": total, "files": [{path, source, revision, commit, licence, bytes, sha256}]}, by path; commit is
        null for URLs.

    Raises
    ------
    PlumblineError
        For an unreachable host, a missing file, a wrong checksum, and a disk without room for it all.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    known = sums(folder) if (folder / SUMS).is_file() else {}
    before = read_json(folder / MANIFEST)["files"] if (folder / MANIFEST).is_file() else []
    listed = {file["path"]: file for file in before if file["path"] in known}
    entries = [_announced(item, lock) for item in items]
    for repo, revision in checkpoints:
        entries += _checkpoint(repo, revision, lock)
    entries = sorted({entry["path"]: entry for entry in entries}.values(), key=lambda entry: entry["path"])
    with locked(lock) as pins:
        missing = [entry for entry in entries if not _there(folder, entry, known, listed, pins)]
    _say_total(folder, entries, missing, say)
    for entry in missing:
        say(f"plumbline: {entry['path']} ({_size(entry['bytes'])})")
        _fetch(entry["item"], folder / entry["path"], lock)
        # After every file, so that a stopped run knows what it has.
        known[entry["path"]] = sha256_of(folder / entry["path"])
        write_text(folder / SUMS, "".join(f"{digest}  {path}\n" for path, digest in sorted(known.items())))
    licences = {}
    for entry in entries:
        listed[entry["path"]] = _described(entry, folder, known, licences)
    files = [listed[path] for path in sorted(listed)]
    manifest = {"bytes": sum(file["bytes"] for file in files), "files": files}
    write_json(folder / MANIFEST, manifest)
    say(f"plumbline: runs without a network: PLUMBLINE_MIRROR={folder.resolve()}")
    return manifest


def _there(folder, entry, known, listed, pins):
    """Whether the folder has an entry's file whole, from the commit that the host has now."""
    path, item = entry["path"], entry["item"]
    if path not in known or not (folder / path).is_file():
        return False
    pinned = (
        pins["url"].get(item["url"])
        if item["kind"] == "url"
        else pins["hub"][hub_key(item)]["files"].get(item["filename"])
    )
    same = (
        known[path] in (pinned, item["sha256"]) or listed.get(path, {}).get("commit", "") == entry["commit"]
    )
    return same and sha256_of(folder / path) == known[path]


def _say_total(folder, entries, missing, say):
    total, to_come = (sum(entry["bytes"] or 0 for entry in some) for some in (entries, missing))
    unknown = sum(entry["bytes"] is None for entry in missing)
    say(
        f"plumbline: {len(entries)} files to mirror, {_size(total)}; to fetch into {folder}: {len(missing)} files, "
        f"{_size(to_come)}{f' and {unknown} of unknown size' if unknown else ''}"
    )
    if to_come > (room := shutil.disk_usage(folder).free):
        raise PlumblineError(
            f"{folder} has room for {_size(room)}, the mirror needs {_size(to_come)} more: free some space or "
            "name another folder in `mirror:`"
        )


def _fetch(item, destination, lock):
    if item["kind"] == "url":
        download_url(item["url"], destination, sha256=item["sha256"], lock=lock)
    else:
        download_hub(
            item["repo"],
            item["filename"],
            destination,
            repo_type=item["repo_type"],
            revision=item["revision"],
            sha256=item["sha256"],
            lock=lock,
        )


def _described(entry, folder, known, licences):
    """An entry's line of the manifest. licences: those that cards have stated so far, by source; it grows."""
    item, path = entry["item"], entry["path"]
    source = item["url"] if item["kind"] == "url" else f"{item['repo_type']} {item['repo']}"
    licence = item.get("licence")
    if licence is None and item["kind"] == "hub":
        if source not in licences:
            licences[source] = licence_hub(
                item["repo"], repo_type=item["repo_type"], revision=entry["commit"]
            )
        licence = licences[source]
    return {
        "path": path,
        "source": source,
        "revision": item.get("revision"),
        "commit": entry["commit"],
        "licence": licence or "none stated",
        "bytes": (folder / path).stat().st_size,
        "sha256": known[path],
    }


def _announced(item, lock):
    """Where the mirror has an item's file, the commit that it is from, and the bytes that its host announces."""
    if item["kind"] == "url":
        return {"item": item, "path": url_place(item["url"]), "commit": None, "bytes": head_url(item["url"])}
    place = hub_place(item["repo"], item["repo_type"], item["revision"], item["filename"])
    commit, size = head_hub(
        item["repo"], item["filename"], repo_type=item["repo_type"], revision=item["revision"], lock=lock
    )
    return {"item": item, "path": place, "commit": commit, "bytes": size}


def _checkpoint(repo, revision, lock):
    """As `_announced`, of every file of a checkpoint that the repository has; see `sources.fetch_snapshot`."""
    found = []
    for wanted in CHECKPOINT:
        names = wanted.removesuffix("?").split("|")
        for name in names:
            item = {
                "kind": "hub",
                "repo": repo,
                "repo_type": "model",
                "revision": revision,
                "filename": name,
                "sha256": None,
            }
            try:
                found.append(_announced(item, lock))
                break
            except NotThere:
                continue
        else:
            if not wanted.endswith("?"):
                raise NotThere(f"model {repo} has no {' or '.join(names)}")
    return found


def _size(count):
    """Bytes for people, in powers of 1000: 1.3 GB."""
    if count is None:
        return "unknown size"
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.3g} {unit}" if count < 1000 else f"{count:.0f} {unit}"
        count /= 1000


def assemble(destination, folders):
    """Link folders into a mirror folder, and write its SHA256SUMS.

    Parameters
    ----------
    destination : path
        The mirror folder.
    folders : dict
        Name -> folder.

    Returns
    -------
    int
        The number of files listed.

    Raises
    ------
    PlumblineError
        For a folder that does not exist, a destination that is not empty, and a file that differs from the SHA256SUMS that came
        with it.
    """
    destination = Path(destination)
    destination.mkdir(parents=True, exist_ok=True)
    if any(destination.iterdir()):
        raise PlumblineError(f"the mirror folder {destination} is not empty: remove it or name another")
    lines = []
    for name, folder in sorted(folders.items()):
        folder = Path(folder).resolve()
        if not folder.is_dir():
            raise PlumblineError(f"there is no folder {folder} to link as {name}")
        known = _known(folder)
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS):
            relative, actual = path.relative_to(folder), sha256_of(path)
            if known.get(str(relative), actual) != actual:
                raise PlumblineError(
                    f"wrong checksum of {path}: {actual}, but its {SUMS} says {known[str(relative)]}"
                )
            lines.append(f"{actual}  {name}/{relative}\n")
    for name, folder in folders.items():
        (destination / name).symlink_to(Path(folder).resolve(), target_is_directory=True)
    write_text(destination / SUMS, "".join(lines))
    return len(lines)


def _known(folder):
    """Relative path -> sha256, from the SHA256SUMS of the folder or of the one that it lies in."""
    known = sums(folder) if (folder / SUMS).is_file() else {}
    if (folder.parent / SUMS).is_file():
        start = f"{folder.name}/"
        above = sums(folder.parent).items()
        known |= {name.removeprefix(start): value for name, value in above if name.startswith(start)}
    return known


def main(arguments):
    """Run the command line of `python -m plumbline.datasets.mirror`; `arguments` are DEST and FOLDER[=NAME]."""
    if len(arguments) < 2:
        raise PlumblineError("usage: python -m plumbline.datasets.mirror DEST FOLDER[=NAME]...")
    destination, *given = arguments
    folders = {}
    for argument in given:
        folder, _, name = argument.partition("=")
        name = name or Path(folder).resolve().name
        if name in folders:
            raise PlumblineError(f"two folders are called {name}: give one another name, {folder}=NAME")
        folders[name] = folder
    print(f"plumbline: {assemble(destination, folders)} files listed in {Path(destination) / SUMS}")


if __name__ == "__main__":
    with one_line_errors():
        main(sys.argv[1:])
