"""A mirror folder made of folders that lie elsewhere: links to them, and SHA256SUMS over every file.

    python -m plumbline.datasets.mirror DEST FOLDER...

Each FOLDER is linked into DEST under its own name; FOLDER=NAME gives it another. Where a folder, or the folder that it
lies in, has a SHA256SUMS of its own, its files must agree with it. DEST must be empty or new; nothing is copied, so the
folders have to stay where they are. Then name DEST in `mirror:` or PLUMBLINE_MIRROR.
"""

import sys
from pathlib import Path

from ..artefacts import write_text
from ..errors import PlumblineError, one_line_errors
from .sources import SUMS, sha256_of, sums


def assemble(destination, folders):
    """Link folders into `destination` and write its SHA256SUMS; the number of files listed.

    folders: name -> folder. Raises PlumblineError for a folder that does not exist, a destination that is not empty,
    and a file that differs from the SHA256SUMS that came with it.
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
