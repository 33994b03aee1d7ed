"""Reads the variables of a CTranslate2 `model.bin`.

Layout (CTranslate2 `specs/model_spec.py`, binary version 6, little endian; a string is a uint16 length that counts
its closing zero byte, then the bytes):

    uint32 binary version | string specification name | uint32 its revision
    uint32 variable count, then for each variable:
        string name | uint8 rank | uint32 size of each axis | uint8 dtype | uint32 byte count | data, row-major
    uint32 alias count, then for each alias: string alias | string variable it stands for
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from commentary_llm.ground.errors import ArtifactError

BINARY_VERSION = 6
_DTYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}  # 5 is bfloat16, which numpy does not have


class _Cursor:
    def __init__(self, data: bytes, where: str) -> None:
        self._data = memoryview(data)
        self._offset = 0
        self._where = where

    def take(self, size: int) -> memoryview:
        end = self._offset + size
        if end > len(self._data):
            raise ArtifactError(
                f"{self._where}: ends at byte {len(self._data)}, expected {end} or more; the file is truncated, fetch "
                "the weight package again"
            )
        piece = self._data[self._offset : end]
        self._offset = end
        return piece

    def number(self, code: str) -> int:
        return int(struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0])

    def string(self) -> str:
        raw = bytes(self.take(self.number("H")))
        return raw[:-1].decode("utf-8", errors="replace")

    @property
    def left_bytes(self) -> int:
        return len(self._data) - self._offset


def read_variables(data: bytes, specification: str, where: str) -> dict[str, np.ndarray]:
    """Variables and aliases of a `model.bin` by name, as read-only views of `data`.

    `specification` is the model kind that the caller can import ("WhisperSpec"); `where` names the file in errors.
    Raises ArtifactError for another binary version or specification, a truncated file or an unknown dtype.
    """
    cursor = _Cursor(data, where)
    version = cursor.number("I")
    if version != BINARY_VERSION:
        raise ArtifactError(f"{where}: CTranslate2 binary version {version}; expected {BINARY_VERSION}")
    found = cursor.string()
    if found != specification:
        raise ArtifactError(f"{where}: holds a {found!r} model; expected {specification!r}")
    cursor.number("I")  # the specification's revision: the variables' names and shapes are checked instead
    variables = dict(_variables(cursor, where))
    for _ in range(cursor.number("I")):
        alias, name = cursor.string(), cursor.string()
        if name not in variables:
            raise ArtifactError(f"{where}: alias {alias!r} stands for {name!r}, which the file does not have")
        variables[alias] = variables[name]
    if cursor.left_bytes:
        raise ArtifactError(f"{where}: {cursor.left_bytes} bytes are left over after the last alias")
    return variables


def _variables(cursor: _Cursor, where: str) -> Iterator[tuple[str, np.ndarray]]:
    for _ in range(cursor.number("I")):
        name = cursor.string()
        shape = tuple(cursor.number("I") for _ in range(cursor.number("B")))
        dtype_id = cursor.number("B")
        byte_count = cursor.number("I")
        if dtype_id not in _DTYPES:
            raise ArtifactError(f"{where}: variable {name!r} has the dtype number {dtype_id}; expected one of 0 to 4")
        dtype = np.dtype(_DTYPES[dtype_id])
        if byte_count != dtype.itemsize * int(np.prod(shape, dtype=np.int64)):
            raise ArtifactError(f"{where}: variable {name!r} has {byte_count} bytes, not those of {dtype} {shape}")
        yield name, np.frombuffer(cursor.take(byte_count), dtype).reshape(shape)
