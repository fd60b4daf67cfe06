"""Pickled .npy files of dictionaries of arrays, read without pickle: nothing that a file names is imported or called.

`numpy.save` writes a dictionary as a header and a pickle of an object array without dimensions. Here the header is
parsed by hand, the pickle's opcodes are walked (pickletools.genops, which only reads), and what they describe is
built if it is a dictionary, list, tuple, number, text, bytes or numeric numpy array. Names of classes and functions
are compared with a short list and stand for what this module does in their place; whatever else a file holds, a
call of os.system for one, is a PlumblineError that names it.
"""

import ast
import io
import math
import pickletools
import re
import struct

import numpy as np

from ..errors import PlumblineError

MAGIC = b"\x93NUMPY"
LONGEST_HEADER = 10_000

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
OBJECT = "O8"
# What the bytes of a damaged file lead to.
FAULTS = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, SyntaxError, MemoryError,
          RecursionError, struct.error)  # fmt: skip
NUMERIC = re.compile(r"b1|[iu][1248]|f[248]")


class _Damaged(Exception):
    """What a file holds is not what may be built; its text says why."""


class _Name(str):
    """A class or function that the file names; only `_call` takes it."""


class _Unbuilt:
    """An array or dtype whose content comes with a later BUILD; `keys` are its places in the memo."""

    def __init__(self, kind, code=None):
        self.kind, self.code, self.keys = kind, code, []


def read(path):
    """The object in a pickled .npy file: dictionaries, lists, tuples, numbers, texts, bytes and numeric arrays.

    Raises PlumblineError where the file is damaged or cut off, or holds anything else.
    """
    with open(path, "rb") as file:
        data = file.read()
    try:
        return _Machine().run(data[_header(data) :])
    except _Damaged as fault:
        raise PlumblineError(f"{path} is refused: {fault}") from None
    except FAULTS as fault:
        raise PlumblineError(f"{path} is damaged or cut off ({fault}): fetch it again") from None


def _header(data):
    """Where the pickle begins: the header's length, of format versions 1 to 3."""
    if data[:6] != MAGIC or len(data) < 12:
        raise _Damaged("it is no .npy file")
    version = data[6]
    if version not in (1, 2, 3):
        raise _Damaged(f"it has .npy version {version}; known are 1 to 3")
    start = 10 if version == 1 else 12
    (length,) = struct.unpack("<H" if version == 1 else "<I", data[8:start])
    if length > LONGEST_HEADER or len(data) < start + length:
        raise _Damaged("its header is cut off")
    facts = ast.literal_eval(data[start : start + length].decode("utf-8" if version == 3 else "latin1"))
    if facts["descr"] not in ("|O", "O") or facts["shape"] != ():
        raise _Damaged(f"it holds an array {facts['descr']} {facts['shape']}, not one object")
    return start + length


def _plain(value):
    """The value, where it is finished and no name, nor a tuple of such: only a call's arguments are."""
    for item in (value, *value) if type(value) is tuple else (value,):
        if isinstance(item, _Name | _Unbuilt):
            raise _Damaged(f"it uses {item if isinstance(item, _Name) else item.kind} as a value")
    return value


def _tuple_of(items):
    """A tuple, perhaps of a call's arguments; the tuples in it are plain already, so nothing is looked into twice."""
    return tuple(_plain(item) if type(item) is tuple else item for item in items)


class _Machine:
    """The pickle's stack machine, without the parts that import and call."""

    PUSHES = {
        "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
        "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "UNICODE", "BINUNICODE",
        "SHORT_BINUNICODE", "BINUNICODE8",
    }  # fmt: skip
    CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
    EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
    TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
    IGNORED = {"PROTO", "FRAME"}

    def __init__(self):
        self.stack, self.marks, self.memo = [], [], {}

    def run(self, data):
        for opcode, argument, _ in pickletools.genops(io.BytesIO(data)):
            name = opcode.name
            if name == "STOP":
                return _plain(self.stack.pop())
            if name in self.PUSHES:
                self.stack.append(argument)
            elif name in self.CONSTANTS:
                self.stack.append(self.CONSTANTS[name])
            elif name in self.EMPTY:
                self.stack.append(self.EMPTY[name]())
            elif name in self.TUPLES:
                self.stack.append(_tuple_of(self._take(self.TUPLES[name])))
            elif name not in self.IGNORED:
                step = getattr(self, f"op_{name.lower()}", None)
                if step is None:
                    raise _Damaged(f"its pickle has the opcode {name}, which no dictionary of arrays needs")
                step(argument)
        raise ValueError("no end")

    def _take(self, count):
        """The uppermost `count` values, none of them below the last mark."""
        if len(self.stack) - count < (self.marks[-1] if self.marks else 0):
            raise IndexError("nothing on the stack")
        taken = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return taken

    def _to_mark(self):
        """The values above the last mark."""
        return self._take(len(self.stack) - self.marks.pop())

    # ------------------------------------------------------------------------------- opcodes, by their names

    def op_mark(self, _):
        self.marks.append(len(self.stack))

    def op_pop_mark(self, _):
        self._to_mark()

    def op_tuple(self, _):
        self.stack.append(_tuple_of(self._to_mark()))

    def op_list(self, _):
        self.stack.append([_plain(item) for item in self._to_mark()])

    def op_dict(self, _):
        items = self._to_mark()
        self.stack.append({})
        self._set(items)

    def op_append(self, _):
        self._extend(self._take(1))

    def op_appends(self, _):
        self._extend(self._to_mark())

    def _extend(self, items):
        if type(self.stack[-1]) is not list:
            raise TypeError("no list to append to")
        self.stack[-1].extend(_plain(item) for item in items)

    def op_setitem(self, _):
        self._set(self._take(2))

    def op_setitems(self, _):
        self._set(self._to_mark())

    def _set(self, items):
        if type(self.stack[-1]) is not dict or len(items) % 2:
            raise TypeError("no dictionary to fill")
        for key, value in zip(items[::2], items[1::2], strict=True):
            self.stack[-1][_plain(key)] = _plain(value)

    def op_put(self, key):
        value = self.stack[-1]
        self.memo[int(key)] = value
        if isinstance(value, _Unbuilt):
            value.keys.append(int(key))

    op_binput = op_long_binput = op_put

    def op_memoize(self, _):
        self.op_put(len(self.memo))

    def op_get(self, key):
        self.stack.append(self.memo[int(key)])

    op_binget = op_long_binget = op_get

    def op_global(self, argument):
        self._name(*argument.split(" ", 1))

    def op_stack_global(self, _):
        self._name(*self._take(2))

    def _name(self, module, name):
        if (module, name) not in NAMES:
            raise _Damaged(f"its pickle names {module}.{name}, which no dictionary of arrays needs")
        self.stack.append(_Name(NAMES[module, name]))

    def op_reduce(self, _):
        function, arguments = self._take(2)
        if not isinstance(function, _Name) or type(arguments) is not tuple:
            raise _Damaged("its pickle calls what is no function")
        self.stack.append(_call(function, arguments))

    def op_build(self, _):
        unbuilt, state = self._take(2)
        if not isinstance(unbuilt, _Unbuilt):
            raise _Damaged("its pickle sets the state of an object")
        value = _dtype(unbuilt.code, *state) if unbuilt.kind == "dtype" else _array(*state)
        for key in unbuilt.keys:
            self.memo[key] = value
        self.stack.append(value)


def _call(function, arguments):
    """What a named function gives for these arguments; done here, never called by name."""
    if function == "defaultdict" and arguments in ((), ("list",)):
        return {}
    if function == "bytes" and arguments == ():
        return b""
    if function == "encode" and arguments[1:] == ("latin1",):
        return arguments[0].encode("latin1")
    if function == "dtype" and (arguments[0] == OBJECT or NUMERIC.fullmatch(arguments[0])):
        return _Unbuilt("dtype", arguments[0])
    if function == "reconstruct" and arguments[:2] == ("ndarray", (0,)):
        return _Unbuilt("ndarray")
    if function == "scalar":
        return _numbers(arguments[1], arguments[0], (), "C")[()]
    if function == "frombuffer":
        data, dtype, shape, order = arguments
        return _numbers(data, dtype, shape, order)
    raise _Damaged(f"its pickle calls {function} with {len(arguments)} arguments that are none of an array's")


def _dtype(code, version, byteorder, *details):
    """A numeric dtype, or the text 'O8' for an array of objects."""
    if version != 3 or byteorder not in ("<", ">", "|", "=") or details[:3] != (None, None, None):
        raise _Damaged(f"an array has the type {code} with particulars of its own")
    return OBJECT if code == OBJECT else np.dtype(byteorder + code)


def _array(version, shape, dtype, fortran, content):
    """A numeric array; of an array of objects without dimensions, its object."""
    if version != 1:
        raise _Damaged(f"an array has state version {version}")
    if dtype == OBJECT and isinstance(dtype, str):
        if shape != () or type(content) is not list or len(content) != 1:
            raise _Damaged("an array of several objects stands where numbers belong")
        return content[0]
    return _numbers(content, dtype, shape, "F" if fortran else "C")


def _numbers(content, dtype, shape, order):
    if not isinstance(dtype, np.dtype) or not isinstance(content, bytes | bytearray):
        raise _Damaged("an array is not of numbers")
    if (
        type(shape) is not tuple
        or any(type(size) is not int or size < 0 for size in shape)
        or order not in ("C", "F")
    ):
        raise _Damaged(f"an array has the shape {shape!r}")
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"an array of {len(content)} bytes where {shape} {dtype} is announced")
    return np.frombuffer(bytes(content), dtype).reshape(shape, order=order)
