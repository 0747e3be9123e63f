"""Tensors as REST carries them: JSON by rows ("instances") or by columns ("inputs")."""

from __future__ import annotations

import base64
import json
import math
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf

from .errors import invalid
from .servable import Signature, Tensor

ROWS, COLUMNS = "instances", "inputs"
BYTES = "_bytes"  # outputs whose names end so are written in base64


class Body(NamedTuple):
    """A request, read as JSON and no further."""

    signature: str  # '' for the default
    format: Literal["instances", "inputs"]
    values: Any


def read_body(body: bytes) -> Body:
    """Reads the body of a request for a prediction.

    Raises:
      RequestError: INVALID_ARGUMENT where it is no JSON, or not of that form.
    """
    try:
        # .NET and PowerShell begin a body with a byte order mark.
        text = body.decode("utf-8-sig")
        read = json.loads(text, parse_float=_number, object_pairs_hook=_object)
    except RecursionError:
        raise invalid("JSON: it is nested too deeply") from None
    except ValueError as error:  # of Unicode and of integers with thousands of digits as well
        raise invalid(f"JSON: {str(error)[:200]}") from None
    if not isinstance(read, dict):
        raise invalid(f"expected a JSON object, received {_kind(read)}")
    signature = read.get("signature_name", "")
    if not isinstance(signature, str):
        raise invalid(f"signature_name: expected a string, received {_kind(signature)}")
    given = [name for name in (ROWS, COLUMNS) if name in read]
    if len(given) != 1:
        raise invalid(f"expected one of '{ROWS}' and '{COLUMNS}', received {given or 'neither'}")
    if given == [ROWS]:
        if not isinstance(read[ROWS], list):
            raise invalid(f"{ROWS}: expected a list, received {_kind(read[ROWS])}")
        if not read[ROWS]:
            raise invalid(f"{ROWS}: expected one row at least, received none")
        return Body(signature, "instances", read[ROWS])
    return Body(signature, "inputs", read[COLUMNS])


def read_inputs(body: Body, signature: Signature) -> dict[str, np.ndarray]:
    """Makes the inputs of a signature of what a body holds.

    Raises:
      RequestError: INVALID_ARGUMENT where they are not what the signature takes.
    """
    columns = _from_rows if body.format == ROWS else _from_columns
    return {
        name: _array(name, values, signature.inputs[name])
        for name, values in columns(body.values, list(signature.inputs)).items()
    }


def write_outputs(outputs: dict[str, np.ndarray], form: str) -> bytes:
    """Writes the answer in the form of the request.

    An output that is alone comes without its name. JSON is made row by row: no other
    thread runs while Python makes it of a value, and attention has millions of numbers.
    """
    plain = {name: _plain(values, name.endswith(BYTES)) for name, values in outputs.items()}
    if form == COLUMNS:
        columns = {name: _list_of(values) for name, values in plain.items()}
        named = ", ".join(f"{json.dumps(name)}: {column}" for name, column in columns.items())
        answer = ("outputs", f"{{{named}}}" if len(columns) > 1 else next(iter(columns.values())))
    elif len(plain) == 1:
        answer = ("predictions", _list_of(next(iter(plain.values()))))
    else:
        rows = zip(*plain.values(), strict=True)
        answer = ("predictions", _list_of(dict(zip(plain, row, strict=True)) for row in rows))
    return '{{"{}": {}}}'.format(*answer).encode("utf-8", "replace")


def _list_of(values: Any) -> str:
    """A list as JSON, value by value; a number or text that is no list as it is."""
    if isinstance(values, (str, int, float, dict)):
        return json.dumps(values, ensure_ascii=False)
    return f"[{', '.join(json.dumps(value, ensure_ascii=False) for value in values)}]"


def _from_rows(rows: list[Any], names: list[str]) -> dict[str, list[Any]]:
    named = _is_object(rows[0])
    if not named and len(names) > 1:
        raise invalid(f"{ROWS}: expected objects with the keys {names}")
    for number, row in enumerate(rows):
        if _is_object(row) != named:
            raise invalid(f"{ROWS}: expected objects or values alone, received both (row {number})")
        if named and set(row) != set(names):
            raise invalid(
                f"{ROWS}: expected the keys {names} in row {number}, "
                f"received {[key[:50] for key in sorted(row)[:20]]}"
            )
    if not named:
        return {names[0]: rows}
    return {name: [row[name] for row in rows] for name in names}


def _from_columns(columns: Any, names: list[str]) -> dict[str, Any]:
    if not _is_object(columns):
        if len(names) > 1:
            raise invalid(f"{COLUMNS}: expected an object with the keys {names}")
        return {names[0]: columns}
    if missing := [name for name in names if name not in columns]:
        raise invalid(f"{COLUMNS}: expected the keys {names}, {missing} are missing")
    return {name: columns[name] for name in names}


def _array(name: str, values: Any, expected: Tensor) -> np.ndarray:
    """An array of nested lists; its rank is known, so that no depth is followed beyond."""
    shape: list[int] = []
    flat = [values]
    depth = len(expected.shape or ()) or 1
    for _ in range(depth):
        if not all(isinstance(value, list) for value in flat):
            raise invalid(f"{name}: expected lists, {depth} deep")
        lengths = {len(value) for value in flat}
        if len(lengths) > 1:
            raise invalid(f"{name}: expected lists of one length, received {sorted(lengths)[:5]}")
        shape.append(lengths.pop() if lengths else 0)
        flat = [part for value in flat for part in value]
    if not expected.takes(shape):
        raise invalid(f"{name}: expected the shape {expected.shape}, received {shape}")
    if expected.dtype == tf.string:
        array = np.empty(len(flat), object)
        array[:] = [_bytes(name, value) for value in flat]
    else:
        array = _numbers(name, flat, expected.dtype)
    return array.reshape(shape)


def _bytes(name: str, value: Any) -> bytes:
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError:
            raise invalid(f"{name}: expected Unicode, received half of a surrogate pair") from None
    if isinstance(value, dict) and list(value) == ["b64"] and isinstance(value["b64"], str):
        try:
            return _from_base64(value["b64"])
        except ValueError:
            raise invalid(f"{name}: expected base64 in 'b64'") from None
    raise invalid(f"{name}: expected a string, received {_kind(value)}")


def _from_base64(text: str) -> bytes:
    """What stands in base64; line breaks may be in it, and the `=` of its end missing."""
    packed = b"".join(text.encode().split())
    if b"=" not in packed:
        packed += b"=" * (-len(packed) % 4)
    if len(packed) % 4:  # Python reads more `=` than belong there
        raise ValueError("its length is no multiple of four")
    return base64.b64decode(packed, validate=True)


def _numbers(name: str, flat: list[Any], dtype: tf.DType) -> np.ndarray:
    kinds: tuple[type, ...] = (int, float) if dtype.is_floating else (int,)
    if dtype == tf.bool:
        kinds = (bool,)
    # Numbers of Python's own, which compare with integers of any size.
    low, high = (np.asarray(bound).item() for bound in (dtype.min, dtype.max))
    for value in flat:
        if not isinstance(value, kinds) or (isinstance(value, bool) and dtype != tf.bool):
            raise invalid(f"{name}: expected {dtype.name}, received {_kind(value)}")
        # NaN and Infinity, which upstream reads too: the graph says what it makes of them.
        special = isinstance(value, float) and not math.isfinite(value)
        if not special and not low <= value <= high:
            raise invalid(f"{name}: expected {dtype.name}, received a number beyond its range")
    return np.array(flat, dtype.as_numpy_dtype)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        raise ValueError("a key that comes twice in an object")
    return read


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"a number too large: {text[:20]}")
    return value


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and list(value) != ["b64"]


def _plain(values: np.ndarray, as_base64: bool) -> Any:
    if values.dtype != object:
        return values.tolist()
    plain = np.empty(values.shape, object)
    for index, value in enumerate(values.flat):
        plain.flat[index] = (
            {"b64": base64.b64encode(value).decode()}
            if as_base64
            else value.decode("utf-8", "replace")
        )
    return plain.tolist()


def _kind(value: Any) -> str:
    """A value in words: never the value, which may be anything."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a Boolean"}
    if value is None:
        return "null"
    return names.get(type(value), "a number")
