"""Reading and writing artefacts: Parquet for rows, JSON for facts, each checked against its schema file.

Every file is written beside its target and renamed, so a killed job leaves nothing half-written; its temporary file is swept
when a run starts. Bytes
depend on the content alone: no time stamp, no machine name, no pandas metadata.
"""

import contextlib
import contextvars
import functools
import json
import os
import re
import shutil
import socket
import tempfile
import time
from importlib import resources
from pathlib import Path

from .errors import PlumblineError

SCHEMAS = resources.files(__package__) / "schemas" / "artefacts"
# Rows of a Parquet row group: what a job that streams holds in memory at once.
ROW_GROUP = 4096


# What the artefacts are of that are written now; see `about`.
_ABOUT = contextvars.ContextVar("about", default=None)
# The fields that tables and figures look up in every item.
_FIELDS = ("dataset", "model", "seed", "method", "split")


@contextlib.contextmanager
def about(fields):
    """Let every artefact that is written inside the block say what it is of.

    Parquet files say it in their metadata, JSON objects in their first key, `about`.

    Parameters
    ----------
    fields : dict
        dataset, model, seed, method, split, class, other and so on, as far as there are -> str or int.
    """
    token = _ABOUT.set(fields)
    try:
        yield
    finally:
        _ABOUT.reset(token)


def read_about(path):
    """What an artefact is of, as the job that made it was told.

    Parameters
    ----------
    path : str or Path
        A Parquet file, or a JSON file with an object.

    Returns
    -------
    dict
        Field -> str or int. Of dataset, model, seed, method and split each is there; None where the file is of none.

    Raises
    ------
    PlumblineError
        Where the file is missing or damaged, or does not say what it is of.
    """
    if Path(path).suffix == ".json":
        content = _load_json(path)
        found = content.get("about") if isinstance(content, dict) else None
    else:
        text = (open_rows(path).schema_arrow.metadata or {}).get(b"about")
        found = json.loads(text) if text else None
    if found is None:
        raise PlumblineError(
            f"{path} does not say what it is of, as files of earlier versions: remove it and run again"
        )
    return dict.fromkeys(_FIELDS) | found


# Hours without a change after which a temporary file of another machine's process counts as left behind.
LEFT_BEHIND = 48


def temporary_prefix(name):
    """How the name of a temporary file begins: it says which process, on which machine, writes it.

    Parameters
    ----------
    name : str
        The name of the file that it becomes.

    Returns
    -------
    str
        The beginning, a dot first.
    """
    return f".{name}.{_here()}.{os.getpid()}."


def _here():
    """This machine, and on Linux its space of process numbers: in a container they are not the host's."""
    space = Path("/proc/self/ns/pid")
    number = f"-{space.stat().st_ino}" if space.exists() else ""
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname()) + number


# Target, machine, process, and what tempfile adds.
TEMPORARY = re.compile(r"\.(.+)\.([A-Za-z0-9-]+)\.(\d+)\.([a-z0-9_]{8})")


def sweep(folder):
    """Remove temporary files and folders whose process is gone.

    A process of this machine is asked for by its number and its start, since a number may be given anew. Whether a process of
    another machine lives is not known here: its files go when nothing has changed them for LEFT_BEHIND hours.

    Parameters
    ----------
    folder : path_like
        Where `temporary_prefix` names are looked for, at any depth.

    Returns
    -------
    list
        The removed paths.
    """
    here, removed = _here(), []
    for place, folders, files in os.walk(folder):
        for name in [name for name in (*folders, *files) if name.startswith(".")]:
            path = Path(place, name)
            found = TEMPORARY.fullmatch(name)
            with contextlib.suppress(
                OSError
            ):  # another run may sweep it, or its process may finish it, in this moment
                if not found or not _abandoned(path, int(found[3]) if found[2] == here else None):
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                    folders.remove(name)
                else:
                    path.unlink()
                removed.append(path)
    return removed


def _abandoned(path, process):
    """Whether no process writes a temporary file any more. process: its number on this machine, None of another's."""
    changed = path.lstat().st_mtime
    if process is None:
        return time.time() - changed > 3600 * LEFT_BEHIND
    import psutil

    try:
        # Started after the last change, it is another one; clocks of file systems differ by less than a minute.
        return psutil.Process(process).create_time() > changed + 60
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


@contextlib.contextmanager
def atomic(path):
    """A context that makes a file as a whole or not at all.

    Parameters
    ----------
    path : path_like
        The file.

    Yields
    ------
    str
        A place beside `path`. It is renamed to `path` if the block succeeds, and removed if not.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=temporary_prefix(path.name))
    os.close(handle)
    try:
        yield temporary
        # mkstemp makes files that only their owner may read; an artefact has the usual permissions.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except OSError as fault:
        fault.filename = fault.filename2 = None
        raise OSError(fault.errno, fault.strerror, str(path)) from fault
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def write_text(path, text):
    """Write a text file atomically (UTF-8, as given).

    Parameters
    ----------
    path : path_like
        The file.
    text : str
        Its content.
    """
    with atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as out:
        out.write(text)


def write_json(path, facts):
    """Write a JSON file atomically: sorted keys, two blanks of indent and a final newline.

    An object says what it is of where a block of `about` is open: `about` sorts before every other key.

    Parameters
    ----------
    path : path_like
        The file.
    facts : object
        What JSON can hold.

    Raises
    ------
    PlumblineError
        For NaN or an infinite number.
    """
    if isinstance(facts, dict) and (fields := _ABOUT.get()) is not None:
        facts = facts | {"about": fields}
    try:
        text = json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except ValueError as fault:
        raise PlumblineError(f"a number that is not finite would go into {path}: {fault}") from fault
    write_text(path, text + "\n")


def read_json(path):
    """Read a JSON file.

    Parameters
    ----------
    path : path_like
        The file.

    Returns
    -------
    object
        The content without what it is of (`read_about`).

    Raises
    ------
    PlumblineError
        Where the file is missing or broken.
    """
    content = _load_json(path)
    if isinstance(content, dict):
        content.pop("about", None)
    return content


def _load_json(path):
    """The whole content of a JSON file."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PlumblineError(f"missing file {path}: make it with `snakemake {path}`") from None
    except (ValueError, RecursionError) as fault:  # a ValueError is also what is not UTF-8
        raise PlumblineError(f"{path} is not JSON ({fault}): remove it and run again") from None


def load_weights(model, path):
    """Load a safetensors file into a module whose parameters it holds, all and no others.

    Parameters
    ----------
    model : torch.nn.Module
        The module, which is changed.
    path : path_like
        The file.

    Raises
    ------
    PlumblineError
        With the file's name, where it is missing, damaged, or of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        model.load_state_dict(load_file(path))
    except FileNotFoundError:
        raise PlumblineError(f"missing file {path}: make it with `snakemake {path}`") from None
    except (SafetensorError, ValueError) as fault:
        raise PlumblineError(
            f"{path} is not a safetensors file, or damaged ({fault}): remove it and run again"
        ) from None
    except RuntimeError as fault:
        raise PlumblineError(
            f"{path} has the weights of another network ({fault}): remove it and run again"
        ) from None


def schema(name):
    """The schema of an artefact, `schemas/artefacts/<name>.yaml`.

    Parameters
    ----------
    name : str
        The schema's name.

    Returns
    -------
    dict
        Columns and patterns of columns, the same object each time: not to be changed.
    """
    return _parsed(SCHEMAS / f"{name}.yaml")


@functools.cache
def _parsed(path):
    import yaml

    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _arrow_type(text):
    import pyarrow as pa

    inner = re.fullmatch(r"list<(\w+)>", text)
    if inner:
        return pa.list_(_arrow_type(inner[1]))
    return {
        "int64": pa.int64(),
        "int32": pa.int32(),
        "int8": pa.int8(),
        "uint8": pa.uint8(),
        "float32": pa.float32(),
        "float64": pa.float64(),
        "string": pa.string(),
        "binary": pa.binary(),
        "bool": pa.bool_(),
    }[text]


def _column(description, name):
    if name in description["columns"]:
        return description["columns"][name]
    for pattern, column in description.get("patterns", {}).items():
        if re.fullmatch(pattern, name):
            return column
    return None


def write_rows(path, columns, *, kind):
    """Write rows as Parquet (zstd) in the column order of a schema, atomically.

    Parameters
    ----------
    path : path_like
        The file.
    columns : mapping of str to sequence, or pandas.DataFrame
        Name -> values, one a row.
    kind : str
        The schema, `schemas/artefacts/<kind>.yaml`.

    Raises
    ------
    PlumblineError
        Where a column is unknown, missing, of another type or holds a number that is not finite.
    """
    with rows_writer(path, kind=kind) as write:
        write(columns)


@contextlib.contextmanager
def rows_writer(path, *, kind):
    """A context in which rows are written block by block. Memory holds one row group.

    Parameters
    ----------
    path : path_like
        The file. It is to the byte what `write_rows` makes of all rows at once.
    kind : str
        The schema, see `write_rows`.

    Yields
    ------
    callable
        write(columns), which adds rows: columns as of `write_rows`, or a pyarrow table; the same names in every call.

    Raises
    ------
    PlumblineError
        As `write_rows` does.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with atomic(path) as temporary:
        held, writer = None, None

        def write(columns):
            nonlocal held
            table = _table(columns, kind, path)
            held = table if held is None else pa.concat_tables([held, table])
            while len(held) >= ROW_GROUP:
                add(held.slice(0, ROW_GROUP))
                held = held.slice(ROW_GROUP)

        def add(group):
            # In one piece, so that the sizes in which rows came do not show in the bytes.
            nonlocal writer
            if writer is None:
                # Without checksums a damaged byte may come back as another number.
                writer = pq.ParquetWriter(
                    temporary,
                    group.schema,
                    compression="zstd",
                    write_page_checksum=True,
                    **_encoding(group.schema),
                )
            writer.write_table(group.combine_chunks(), row_group_size=ROW_GROUP)

        try:
            yield write
            if held is not None and (len(held) or writer is None):
                add(held)
        finally:
            if writer is not None:
                writer.close()
        if writer is None:
            raise PlumblineError(f"no rows for {path}")


def _table(columns, kind, path):
    """Columns as a pyarrow table of the schema's order and types, checked."""
    import pyarrow as pa

    description = schema(kind)
    names = columns.column_names if isinstance(columns, pa.Table) else list(columns)
    ordered = [name for name in description["columns"] if name in names]
    ordered += sorted(name for name in names if name not in description["columns"])
    arrays, fields = [], []
    for name in ordered:
        column = _column(description, name)
        if column is None:
            raise PlumblineError(f"column '{name}' is not in schemas/artefacts/{kind}.yaml (writing {path})")
        arrow = _arrow_type(column["type"])
        values = columns[name]
        try:
            # Read from a file, a list's elements have another field name, which shows in the bytes: hence the cast.
            known = isinstance(values, pa.Array | pa.ChunkedArray)
            arrays.append(values.cast(arrow) if known else pa.array(list(values), type=arrow))
        except (pa.ArrowInvalid, pa.ArrowTypeError) as fault:
            raise PlumblineError(f"column '{name}' of {path} is not {column['type']}: {fault}") from fault
        fields.append(pa.field(name, arrow, nullable=bool(column.get("nullable", False))))
    metadata = {"plumbline": kind}
    if (facts := _ABOUT.get()) is not None:
        metadata["about"] = json.dumps(facts, sort_keys=True)
    table = pa.table(arrays, schema=pa.schema(fields, metadata=metadata))
    faults = check_table(table, kind)
    if faults:
        raise PlumblineError(f"{path}: {faults[0]}")
    return table


def _encoding(schema):
    """How pyarrow encodes the columns of an arrow schema."""
    import pyarrow as pa

    if any(pa.types.is_list(field.type) for field in schema):
        return {}
    # Bytes of like significance stand together: floats that were rounded shrink by half.
    floats = [field.name for field in schema if pa.types.is_floating(field.type)]
    rest = [name for name in schema.names if name not in floats]
    return {"use_byte_stream_split": floats, "use_dictionary": rest}


def read_rows(path, columns=None):
    """Read the rows of a Parquet artefact.

    Parameters
    ----------
    path : path_like
        The file.
    columns : list of str, optional
        Names. None: all.

    Returns
    -------
    pandas.DataFrame
        One row an artefact's row.

    Raises
    ------
    PlumblineError
        With the file's name, as all readers here do: for a missing or damaged file, and a missing column.
    """
    with _readable(path):
        return _read(open_rows(path), path, columns).to_pandas()


def read_records(path, columns=None):
    """Read the rows of a Parquet artefact without pandas and its import.

    Parameters
    ----------
    path, columns
        See `read_rows`.

    Returns
    -------
    list of dict
        One a row.
    """
    with _readable(path):
        return _read(open_rows(path), path, columns).to_pylist()


def stream_records(path, columns=None, *, start=0, stop=None):
    """Read some rows of a Parquet artefact one after the other. Memory holds one row group.

    Parameters
    ----------
    path, columns
        See `read_rows`.
    start, stop : int
        The rows start:stop. None: to the end.

    Yields
    ------
    dict
        One a row.
    """
    file = open_rows(path)
    stop = file.metadata.num_rows if stop is None else stop
    first = 0
    for group in range(file.num_row_groups):
        last = first + file.metadata.row_group(group).num_rows
        if first < stop and last > start:
            here = max(start - first, 0)
            with _readable(path):
                found = (
                    _read(file, path, columns, group).slice(here, min(stop, last) - first - here).to_pylist()
                )
            yield from found
        first = last


def stream_tables(path, size, columns=None, *, start=0, stop=None):
    """Read some rows of a Parquet artefact, a few at a time.

    No more rows than `size` are in memory, whatever a row group has: for rows that are large, such as images.

    Parameters
    ----------
    path, columns
        See `read_rows`.
    size : int
        Rows of a table; the last one has fewer.
    start, stop : int
        The rows start:stop. None: to the end.

    Yields
    ------
    pyarrow.Table
        `size` rows.
    """
    import pyarrow as pa

    file = open_rows(path, buffer_size=2**20)
    stop = file.metadata.num_rows if stop is None else stop
    first = 0
    with _readable(path):
        for batch in file.iter_batches(size, columns=columns):
            here, end = max(start - first, 0), min(stop - first, len(batch))
            first += len(batch)
            if here < end:
                yield pa.Table.from_batches([batch.slice(here, end - here)])
            if first >= stop:
                return


def open_rows(path, **settings):
    """Open a Parquet artefact, for `metadata.num_rows` and `schema_arrow.names`.

    Parameters
    ----------
    path : path_like
        The file.
    **settings
        Of pyarrow.parquet.ParquetFile.

    Returns
    -------
    pyarrow.parquet.ParquetFile
        The open file.

    Raises
    ------
    PlumblineError
        For a missing or damaged file.
    """
    import pyarrow.parquet as pq

    with _readable(path):
        return pq.ParquetFile(path, page_checksum_verification=True, **settings)


def _read(file, path, columns=None, group=None):
    """Columns (None: all) of an open file, or of one of its row groups, as a pyarrow table."""
    known = file.schema_arrow.names
    for name in columns or ():
        if name not in known:
            raise PlumblineError(f"{path} has no column '{name}'; it has {', '.join(known)}: make it again")
    return file.read(columns=columns) if group is None else file.read_row_group(group, columns=columns)


@contextlib.contextmanager
def _readable(path):
    """Turn what pyarrow raises for a missing or damaged Parquet file into one PlumblineError with its name."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError:
        raise PlumblineError(f"missing file {path}: make it with `snakemake {path}`") from None
    except (IsADirectoryError, PermissionError):
        raise  # the operating system's own, with the name
    # A damaged page is an OSError, a damaged length also one of memory, a damaged text a UnicodeDecodeError.
    except (pa.ArrowException, OSError, ValueError, MemoryError) as fault:
        raise PlumblineError(
            f"{path} is not a Parquet file, or damaged ({fault}): remove it and run again"
        ) from None


def gather_rows(path, shards, *, kind):
    """Write the rows of shards one after the other, to the byte as if they had not been split.

    Parameters
    ----------
    path : path_like
        The file.
    shards : sequence of path_like
        Parquet files of one kind, in their order.
    kind : str
        The schema, see `write_rows`.
    """
    with rows_writer(path, kind=kind) as write:
        for shard in shards:
            file = open_rows(shard)
            write(file.schema_arrow.empty_table())  # a shard may have no rows
            for group in range(file.num_row_groups):
                with _readable(shard):
                    table = _read(file, shard, group=group)
                write(table)


def check_table(table, kind):
    """Check a table against a schema.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    kind : str
        The schema, see `write_rows`.

    Returns
    -------
    list of str
        Faults, a line each; empty where the table is sound.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    description = schema(kind)
    faults = []
    for name, column in description["columns"].items():
        if name not in table.column_names and not column.get("optional", False):
            faults.append(f"column '{name}' is missing")
    for name in table.column_names:
        column = _column(description, name)
        if column is None:
            faults.append(f"column '{name}' is not in schemas/artefacts/{kind}.yaml")
            continue
        values = table[name]
        if values.type != _arrow_type(column["type"]):
            faults.append(f"column '{name}' is {values.type}, not {column['type']}")
            continue
        if values.null_count and not column.get("nullable", False):
            faults.append(f"column '{name}' has {values.null_count} empty cells")
        flat = values.combine_chunks()
        if pa.types.is_list(values.type):
            flat = flat.flatten()
        if pa.types.is_floating(flat.type):
            # A null is for the check above; here only NaN and infinities count.
            bad = pc.sum(pc.invert(pc.is_finite(flat))).as_py()
            if bad:
                faults.append(
                    f"column '{name}' holds {bad} numbers that are not finite (NaN or infinite); "
                    "the model or the method failed on some example"
                )
    return faults


def check_file(path):
    """Check a Parquet artefact against the schema that its own metadata names.

    Parameters
    ----------
    path : path_like
        The file.

    Returns
    -------
    list of str
        Faults, a line each; empty where the file is sound.

    Raises
    ------
    PlumblineError
        For a damaged file.
    """
    with _readable(path):
        table = _read(open_rows(path), path)
    kind = (table.schema.metadata or {}).get(b"plumbline")
    if kind is None or not (SCHEMAS / f"{kind.decode(errors='replace')}.yaml").is_file():
        return ["no schema is named in the file's metadata"]
    return check_table(table, kind.decode())
