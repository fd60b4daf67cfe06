"""The reader of the released arrays: it gives what NumPy saved, and refuses and runs nothing else."""

import collections
import functools
import importlib
import operator
import os
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest

from plumbline.datasets import restricted_npy
from plumbline.errors import PlumblineError
from tests import workflow


def npy(value, protocol, path, version=1):
    """What numpy.save writes for one object, with a pickle protocol and format version of choice."""
    box = np.empty((), dtype=object)
    box[()] = value
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }"
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    path.write_bytes(
        b"\x93NUMPY" + bytes([version, 0]) + length + header + pickle.dumps(box, protocol=protocol)
    )
    return path


def content():
    rng = np.random.default_rng(0)
    found = collections.defaultdict(list)
    for n in (5, 1, 7):
        found["ours"].append(rng.random(n).astype(np.float32))
        found["ig_l2"].append(rng.random(n))
        found["matrix"].append(np.asfortranarray(rng.random((n, 3))))
        found["counts"].append(np.arange(n, dtype=">i4"))
        found["pred_class"] += [n % 2, np.int64(1), np.array(0), np.array([1])]
    found["empty"].append(np.zeros(0, dtype=np.float32))
    found["plain"] = [None, True, 2**70, -3, 0.5, "é", b"\x00\xff", b"", (1,), (1, 2, 3, [4]), {"a": {1: ()}}]
    return found


def same(x, y):
    if isinstance(x, np.ndarray | np.generic):
        return x.dtype == np.asarray(y).dtype and np.array_equal(x, y)
    if isinstance(x, dict):
        return isinstance(y, dict) and list(x) == list(y) and all(same(x[key], y[key]) for key in x)
    if isinstance(x, list | tuple):
        return type(x) is type(y) and len(x) == len(y) and all(map(same, x, y))
    return type(x) is type(y) and x == y


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("version", [1, 2, 3])
def test_reads_what_numpy_saved(tmp_path, protocol, version):
    found = restricted_npy.read(npy(content(), protocol, tmp_path / "a.npy", version))
    assert type(found) is dict
    assert same(dict(content()), found)


def test_reads_numpy_save(tmp_path):
    np.save(tmp_path / "a.npy", dict(content()), allow_pickle=True)
    assert same(dict(content()), restricted_npy.read(tmp_path / "a.npy"))


reconstruct, scalar = np.zeros(1).__reduce__()[0], np.float64(1).__reduce__()[0]


class Hostile:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (lambda marker: Hostile(os.system, f"touch {marker}"), r"names (posix|nt)\.system"),
        (
            lambda marker: {"a": [Hostile(eval, f"open({str(marker)!r}, 'w')")]},
            r"names (builtins|__builtin__)\.eval",
        ),
        (lambda marker: Hostile(importlib.import_module, "os"), r"names importlib\.import_module"),
        (lambda marker: collections.Counter("a"), r"names collections\.Counter"),
        (lambda marker: np.array([1, "a", None], dtype=object), "several objects"),
        (lambda marker: np.zeros(2, dtype=[("a", "f4")]), "array"),
        (lambda marker: {1, 2}, "names|opcode"),
        (
            lambda marker: Hostile(functools.partial, os.system, f"touch {marker}"),
            r"names functools\.partial",
        ),
        (lambda marker: Hostile(operator.attrgetter, "__class__.__base__"), r"names operator\.attrgetter"),
        (lambda marker: Hostile(getattr, [], "append"), r"names (builtins|__builtin__)\.getattr"),
        (lambda marker: Hostile(np.load, "a.npy"), r"names numpy\.load"),
        (lambda marker: Hostile(scalar, np.dtype(object), [1]), "not of numbers"),
        (lambda marker: Hostile(reconstruct, list, (0,), b"b"), "calls reconstruct"),
        (lambda marker: Hostile(reconstruct, np.ndarray, (2**40,), b"b"), "calls reconstruct"),
        (lambda marker: Hostile(collections.defaultdict, list, {"a": 1}), "calls defaultdict"),
        (lambda marker: Hostile(np.dtype, "V8"), "calls dtype"),
        (lambda marker: Hostile(np.dtype, "f4", os.system), r"names (posix|nt)\.system"),
        (lambda marker: {"a": np.ndarray}, "ndarray as a value"),
        (lambda marker: {(1, 2): 3}, "neither a text nor a number"),
    ],
)
def test_whatever_else_is_refused_and_not_run(tmp_path, protocol, value, said):
    marker = tmp_path / "ran"
    path = npy(value(marker), protocol, tmp_path / "a.npy")
    with pytest.raises(PlumblineError, match=said) as caught:
        restricted_npy.read(path)
    assert str(path) in str(caught.value)
    assert not marker.exists()


@pytest.mark.parametrize(
    "code",
    [
        b"cos\nsystem\n(S'true'\ntR.",  # a plain call
        b"(S'true'\nios\nsystem\n.",  # INST
        b"\x80\x02cnumpy\nndarray\n)\x81.",  # NEWOBJ of a class that may be named
        b"\x80\x02cnumpy\nndarray\n.",  # a class as the value
        b"\x80\x02ccollections\ndefaultdict\ncbuiltins\nbytes\n\x85R.",  # a factory that is none of ours
        b"\x80\x02]q\x00h\x00K\x01b.",  # BUILD on a list
        b"\x80\x02(K\x01K\x02.",  # more on the stack than a value
        b"\x80\x020.",  # POP from an empty stack
        b"\x80\x02P1\n.",  # a persistent id
        b"\x80\x02\x82\x01.",  # an extension
        b"\x80\x04\x8c\x05numpy\x8c\x0bdtype.mro\x93.",  # an attribute of what may be named
        b"\x80\x02cnumpy\ndtype\n}U\x06readerK\x01s\x86b.",  # the state of what a name stands for
        b"\x80\x02(cnumpy\ndtype\nU\x02f4o.",  # OBJ
        b"\x80\x02K\x01r\xff\xff\xff\x7f.",  # a memo of two thousand million values
        b"\x80\x04\x8e" + bytes([255] * 7 + [0]) + b"a.",  # more bytes than there are
        b"",
    ],
)
def test_handmade_pickles_are_refused(tmp_path, code):
    path = npy(1, 4, tmp_path / "a.npy")
    path.write_bytes(path.read_bytes().split(b"}", 1)[0] + b"}" + code)
    if code == b"\x80\x02(K\x01K\x02.":
        assert restricted_npy.read(path) == 2  # harmless: what lies below is left
        return
    with pytest.raises(PlumblineError):
        restricted_npy.read(path)


def test_tuples_of_tuples_take_no_time(tmp_path):
    """Sixty doublings of one tuple: walked through naively, 2**60 steps."""
    path = npy(1, 4, tmp_path / "a.npy")
    doublings = b"".join(b"h" + bytes([n]) + b"h" + bytes([n]) + b"\x86q" + bytes([n + 1]) for n in range(60))
    head = path.read_bytes().split(b"}", 1)[0] + b"}"
    path.write_bytes(head + b"\x80\x02)q\x00" + doublings + b".")
    assert len(restricted_npy.read(path)) == 2
    path.write_bytes(head + b"\x80\x02cnumpy\nndarray\n\x85\x85.")
    with pytest.raises(PlumblineError, match="ndarray as a value"):
        restricted_npy.read(path)
    path.write_bytes(path.read_bytes()[:10] + b"{'descr': " + bytes(50))
    with pytest.raises(PlumblineError, match="a.npy is (damaged|refused)"):
        restricted_npy.read(path)


def test_a_list_in_itself_does_no_harm(tmp_path):
    value = []
    value.append(value)
    found = restricted_npy.read(npy({"a": value}, 4, tmp_path / "a.npy"))
    assert found["a"][0] is found["a"]


def test_a_file_cut_anywhere_is_one_clear_error(tmp_path):
    whole = npy({"a": [np.arange(3.0)], "b": "text"}, 4, tmp_path / "a.npy").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "b.npy").write_bytes(whole[:length])
        with pytest.raises(PlumblineError, match="b.npy is (damaged|refused)"):
            restricted_npy.read(tmp_path / "b.npy")


def test_a_wrong_size_or_an_array_of_numbers_is_refused(tmp_path):
    path = npy({"a": [np.arange(3.0)]}, 4, tmp_path / "a.npy")
    path.write_bytes(path.read_bytes().replace(b"K\x03\x85", b"K\x04\x85"))
    with pytest.raises(PlumblineError, match="24 bytes"):
        restricted_npy.read(path)
    np.save(path, np.arange(3))
    with pytest.raises(PlumblineError, match="not one object"):
        restricted_npy.read(path)


@pytest.mark.slow
def test_what_a_file_names_is_never_looked_up(tmp_path):
    """Python itself reports each class or function that a pickle gets; this one gets none."""
    code = (
        "import sys, pickle, numpy; from plumbline.datasets import restricted_npy\n"
        "events = []; sys.addaudithook(lambda event, _: events.append(event))\n"
        "restricted_npy.read(sys.argv[1]); print(events.count('pickle.find_class'), events.count('import'))\n"
        "numpy.load(sys.argv[1], allow_pickle=True); print(events.count('pickle.find_class') > 0)"
    )
    path = npy(content(), 2, tmp_path / "a.npy")
    environment = {**os.environ, "PYTHONPATH": str(workflow.ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code, path], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["0", "0", "True"], done.stderr


def test_numbers_are_set_by_no_state_of_a_file(tmp_path):
    """A type with a size or with fields of its own would let an array reach beyond its bytes."""
    head = b"\x80\x02cnumpy\ndtype\nq\x00U\x02f4\x85Rq\x01"
    for state in (
        b"(K\x03U\x01<h\x01K\x09\x85\x86NNK\x04K\x01K\x00tb.",  # a subarray
        b"(K\x03U\x01<NU\x01a\x85}U\x01ah\x01s" + b"K\x04K\x01K\x00tb.",  # fields
        b"(K\x03U\x01<NNNK\x04K\x01K\x00tb.",  # fit, but a type is no value
        b"(K\x03U\x01<NNNK\x04K\x01K\x00tb0.",
    ):
        path = npy(1, 4, tmp_path / "a.npy")
        path.write_bytes(path.read_bytes().split(b"}", 1)[0] + b"}" + head + state)
        with pytest.raises(PlumblineError, match="particulars|as a value|opcode POP"):
            restricted_npy.read(path)


def test_what_is_read_takes_no_more_than_the_file(tmp_path, monkeypatch):
    path = npy(1, 4, tmp_path / "a.npy")
    head = path.read_bytes().split(b"}", 1)[0] + b"}"
    text = (
        b"c_codecs\nencode\nq\x01X"
        + struct.pack("<I", 1000)
        + bytes([65]) * 1000
        + b"q\x02U\x06latin1\x86q\x03"
    )
    path.write_bytes(head + b"\x80\x02](" + text + b"R" + b"h\x01h\x03R" * 9 + b"l.")
    with pytest.raises(PlumblineError, match="encodes a text again"):
        restricted_npy.read(path)
    monkeypatch.setattr(restricted_npy, "LARGEST_FILE", 100)
    with pytest.raises(PlumblineError, match="more than 100 bytes"):
        restricted_npy.read(path)
