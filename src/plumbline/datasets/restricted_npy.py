"""Pickled .npy files of dictionaries of arrays, read so that nothing that a file names is imported or called.

This project reads no pickles, with one exception: the released scores of multiberts.py exist in no other format. They were
saved by `numpy.save` of a dictionary, which is a header and a pickle of an object array without dimensions. The standard
library's Unpickler reads them under four restrictions:

1. The opcodes are listed beforehand (`pickletools.genops` only reads). An opcode that no dictionary of arrays needs is
   refused: one that makes an instance of a class, a set, a persistent id or an entry of copyreg's registry. So is an
   index of the memo beyond the file's length, for which the Unpickler would reserve the memory.
2. `find_class` imports nothing. A name is compared with a short list, and the pickle gets a stand-in, never the class or
   function itself. A stand-in checks its arguments when it is called, and does here what is listed in `_call`.
3. No array and no dtype is set by a file's state: one with offsets of its own reaches memory that is not its own. Both
   are made of checked parts: a number type from a short list, a shape, and as many bytes as these need.
4. The result is walked through. It holds dictionaries with keys that are numbers or texts, lists, tuples, numbers, texts,
   bytes and numeric arrays.

What is read takes no more than a small multiple of the file's length, and a file has at most 1 GiB. A hostile file can still end
or hang the process, where a dictionary's key is a tuple nested a million deep, for example: hashing it is Python's own.
"""

import functools
import io
import math
import os
import pickle
import pickletools
import re

import numpy as np

from ..errors import PlumblineError

LARGEST_FILE = 2**30  # bytes

# What may be named, and what the name stands for here.
NAMES = {
    ("collections", "defaultdict"): "defaultdict",
    ("_codecs", "encode"): "encode",
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    **{(module, "list"): "list" for module in ("builtins", "__builtin__")},
    **{(module, "bytes"): "bytes" for module in ("builtins", "__builtin__")},
    **{(f"numpy.{core}.multiarray", "_reconstruct"): "reconstruct" for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): "scalar" for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): "frombuffer" for core in ("core", "_core")},
}
MEMO = {"PUT", "BINPUT", "LONG_BINPUT"}
OPCODES = MEMO | {
    *("PROTO", "FRAME", "STOP", "MARK", "POP_MARK", "MEMOIZE", "GET", "BINGET", "LONG_BINGET"),
    *(
        "NONE",
        "NEWTRUE",
        "NEWFALSE",
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
    ),
    *("BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "LIST", "APPEND", "APPENDS"),
    *("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"),
}
SCALARS = (type(None), bool, int, float, str, bytes)
OBJECT = "O8"
NUMERIC = re.compile(r"b1|[iu][1248]|f[248]")


def read(path):
    """Read a pickled .npy file without running what it holds.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    object
        Of dictionaries, lists, tuples, numbers, texts, bytes and numeric arrays.

    Raises
    ------
    PlumblineError
        Where the file is damaged or cut off, or holds anything else.
    """
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > LARGEST_FILE:
            raise PlumblineError(f"{path} is refused: it has more than {LARGEST_FILE:,} bytes")
        try:
            _read_header(file)
            return _plain(_Unpickler(file.read()).load(), {})
        except _Refused as fault:
            raise PlumblineError(f"{path} is refused: {fault}") from None
        except Exception as fault:  # the bytes of a damaged file may lead to any
            raise PlumblineError(f"{path} is damaged or cut off ({fault}): fetch it again") from None


class _Refused(Exception):
    """What a file holds is not what may be built; its text says why."""


def _read_header(file):
    """Leave `file` where the pickle begins."""
    version = np.lib.format.read_magic(file)
    # Version 3 is 2 in UTF-8, which only names of columns need.
    read_header = (
        np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(file)
    if dtype.kind != "O" or shape != ():
        raise _Refused(f"it holds an array {dtype} {shape}, not one object")


class _Unpickler(pickle.Unpickler):
    def __init__(self, data):
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name not in OPCODES:
                raise _Refused(
                    f"its pickle has the opcode {opcode.name}, which no dictionary of arrays needs"
                )
            if opcode.name in MEMO and argument > len(data):
                raise _Refused(f"its pickle has a memo of {argument} values in {len(data)} bytes")
        super().__init__(io.BytesIO(data), encoding="latin1")
        self.room = len(data)  # bytes that encoded texts may still take

    def find_class(self, module, name):
        if (module, name) not in NAMES:
            raise _Refused(f"its pickle names {module}.{name}, which no dictionary of arrays needs")
        return _StandIn(NAMES[module, name], self)


class _StandIn:
    """What a pickle gets for a class or function that it names: no class, and without a state that could be set."""

    __slots__ = ("name", "reader")

    def __init__(self, name, reader):
        self.name, self.reader = name, reader

    def __call__(self, *arguments):
        return _call(self.name, arguments, self.reader)

    def __setstate__(self, state):
        raise _Refused(f"its pickle sets the state of {self.name}")


class _Unbuilt:
    """An array or dtype that `build` makes of the state that follows; `value` is what it has made."""

    __slots__ = ("name", "build", "value")

    def __init__(self, name, build):
        self.name, self.build, self.value = name, build, self

    def __setstate__(self, state):
        self.value = self.build(*state)


def _call(name, arguments, reader):
    """What a named function gives for these arguments; done here, never called by name."""
    names = [argument.name if isinstance(argument, _StandIn) else None for argument in arguments]
    if name == "defaultdict" and (not arguments or names == ["list"]):
        return {}
    if name == "bytes" and not arguments:
        return b""
    if name == "encode" and arguments[1:] == ("latin1",):
        reader.room -= len(arguments[0])
        if reader.room < 0:
            raise _Refused("its pickle encodes a text again and again")
        return arguments[0].encode("latin1")
    if name == "dtype" and (arguments[0] == OBJECT or NUMERIC.fullmatch(arguments[0])):
        return _Unbuilt(name, functools.partial(_dtype, arguments[0]))
    if name == "reconstruct" and names[0] == "ndarray" and arguments[1] == (0,):
        return _Unbuilt("ndarray", _array)
    if name == "scalar":
        dtype, content = arguments
        return _numbers(content, dtype, (), "C")[()]
    if name == "frombuffer":
        return _numbers(*arguments)
    raise _Refused(f"its pickle calls {name} with {len(arguments)} arguments that are none of an array's")


def _dtype(code, version, byteorder, *details):
    """A numeric dtype, or the text 'O8' for an array of objects."""
    if version != 3 or byteorder not in ("<", ">", "|", "=") or details[:3] != (None, None, None):
        raise _Refused(f"an array has the type {code} with particulars of its own")
    return OBJECT if code == OBJECT else np.dtype(byteorder + code)


def _array(version, shape, dtype, fortran, content):
    """A numeric array; of an array of objects without dimensions, its object."""
    if version != 1:
        raise _Refused(f"an array has state version {version}")
    if isinstance(dtype, _Unbuilt) and dtype.value == OBJECT:
        if shape != () or type(content) is not list or len(content) != 1:
            raise _Refused("an array of several objects stands where numbers belong")
        return content[0]
    return _numbers(content, dtype, shape, "F" if fortran else "C")


def _numbers(content, dtype, shape, order):
    dtype = dtype.value if isinstance(dtype, _Unbuilt) else None
    if not isinstance(dtype, np.dtype) or not isinstance(content, bytes | bytearray):
        raise _Refused("an array is not of numbers")
    if (
        type(shape) is not tuple
        or any(type(size) is not int or size < 0 for size in shape)
        or order not in ("C", "F")
    ):
        raise _Refused(f"an array has the shape {shape!r}")
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"an array of {len(content)} bytes where {shape} {dtype} is announced")
    return np.frombuffer(content, dtype).reshape(shape, order=order)


def _plain(value, done):
    """`value` with arrays where they were to be built; refuses all but what `read` returns. done: by id, what is walked."""
    kind = type(value)
    if kind in SCALARS or isinstance(value, np.ndarray | np.generic):
        return value
    if kind is _Unbuilt and value.value is not value:
        return _plain(value.value, done)
    if kind not in (dict, list, tuple):
        raise _Refused(f"it uses {getattr(value, 'name', kind.__name__)} as a value")
    if id(value) not in done:
        if kind is tuple:
            done[id(value)] = tuple(_plain(item, done) for item in value)
        else:
            done[id(value)] = value  # it may hold itself
            for key in value if kind is dict else range(len(value)):
                if type(key) not in SCALARS:
                    raise _Refused("a dictionary has a key that is neither a text nor a number")
                value[key] = _plain(value[key], done)
    return done[id(value)]
