"""Words and vectors of words, written in LLVM's terms.

numba compiles what loops say; these are the few steps that must not be left to how it
reads a loop. A change here is not seen by numba's cache, which looks at a kernel's own
file only: touch the files of the kernels, too.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

#: Bytes by which a scan of rows asks memory for codes before it comes to them.
AHEAD = 1024
#: Widths, in bytes, of the codes of which vectors hold whole ones.
VECTOR_WIDTHS = (1, 2, 4, 8, 16, 32, 64, 128)

WORD = ir.IntType(64)


def has_feature(context: Any, name: str) -> bool:
    """Tell whether code is generated for a processor that has a feature."""
    _, _, features = context.codegen().magic_tuple()
    return f"+{name}" in features.split(",")


def vector(lanes: int) -> Any:
    return ir.VectorType(WORD, lanes)


def load(builder: Any, address: Any, kind: Any) -> Any:
    pointer = builder.inttoptr(address, kind.as_pointer())
    return builder.load(pointer, align=1)


def store(builder: Any, value: Any, address: Any) -> None:
    pointer = builder.inttoptr(address, value.type.as_pointer())
    builder.store(value, pointer, align=1)


def broadcast(builder: Any, value: Any, lanes: int) -> Any:
    kind = ir.VectorType(value.type, lanes)
    first = builder.insert_element(ir.Constant(kind, None), value, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return builder.shuffle_vector(first, first, zeros)


def call(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, arguments)


def _suffix(kind: Any) -> str:
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}i{kind.element.width}"
    return f"i{kind.width}"


def count_ones(builder: Any, value: Any) -> Any:
    return call(builder, f"llvm.ctpop.{_suffix(value.type)}", value.type, value)


def _prefetch(builder: Any, address: Any) -> None:
    pointer = builder.inttoptr(address, ir.IntType(8).as_pointer())
    read, keep, data = (ir.IntType(32)(x) for x in (0, 3, 1))
    call(builder, "llvm.prefetch.p0", ir.VoidType(), pointer, read, keep, data)


def _minimum(builder: Any, first: Any, second: Any) -> Any:
    name = f"llvm.umin.{_suffix(first.type)}"
    return call(builder, name, first.type, first, second)


def reduce_lanes(builder: Any, operation: str, vector: Any) -> Any:
    name = f"llvm.vector.reduce.{operation}.{_suffix(vector.type)}"
    return call(builder, name, vector.type.element, vector)


@intrinsic
def popcount(typing_context: Any, word: Any) -> Any:
    """Count the bits that a word sets."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return count_ones(builder, arguments[0])

    return types.uint64(types.uint64), generate


@intrinsic
def lowest_bit(typing_context: Any, word: Any) -> Any:
    """Give the place of the lowest bit that a word sets; it sets one."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.uint64(types.uint64), generate


@intrinsic
def load_word(typing_context: Any, address: Any) -> Any:
    """Read eight bytes at any address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return load(builder, arguments[0], WORD)

    return types.uint64(types.uint64), generate


@intrinsic
def load_short(typing_context: Any, unit: Any, address: Any) -> Any:
    """Read as many bytes, at most eight, as the tuple `unit` has elements."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = load(builder, arguments[1], ir.IntType(8 * unit.count))
        return value if unit.count == 8 else builder.zext(value, WORD)

    return types.uint64(unit, types.uint64), generate


@intrinsic
def store_word(typing_context: Any, address: Any, word: Any) -> Any:
    """Write eight bytes to any address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        store(builder, arguments[1], arguments[0])
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64), generate


@intrinsic
def nearer_in_rows(
    typing_context: Any,
    width: Any,
    codes: Any,
    query: Any,
    bound: Any,
    masks: Any,
    n_codes: Any,
) -> Any:
    """Mark the codes, laid out one after the other, that are nearer than a bound.

    Parameters
    ----------
    width : tuple of as many integers as a code has bytes
    codes, query : uint64
        Addresses of the codes and of the query's words.
    bound : uint64
    masks : uint64
        Address of the marks, a bit a code.
    n_codes : uint64
        A multiple of 64.

    Returns
    -------
    any : uint64
        Not 0 if there are such codes.
    """
    n_bytes = width.count

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, codes, query, bound, masks, n_codes = arguments
        # Without vectors of popcounts, long codes are counted faster one by one.
        fits = n_bytes in VECTOR_WIDTHS
        fits = fits and (n_bytes <= 4 or has_feature(context, "avx512vpopcntdq"))
        compare = _Vectors if fits else _OneByOne
        codes_of = compare(context, builder, n_bytes, query, bound)
        found = cgutils.alloca_once_value(builder, codes_of.marks(0))
        step = WORD(codes_of.marks.width)
        with cgutils.for_range_slice(builder, WORD(0), n_codes, step) as (i, _):
            near = codes_of.near(builder.add(codes, builder.mul(i, WORD(n_bytes))))
            store(builder, near, builder.add(masks, builder.udiv(i, WORD(8))))
            builder.store(builder.or_(builder.load(found), near), found)
        result = builder.load(found)
        return result if result.type.width == 64 else builder.zext(result, WORD)

    return types.uint64(width, *(types.uint64,) * 5), generate


class _Vectors:
    """Writes the comparison of several codes at once, of words or parts of a word."""

    def __init__(
        self, context: Any, builder: Any, n_bytes: int, query: Any, bound: Any
    ) -> None:
        self.builder = builder
        self.lane = ir.IntType(8 * min(8, n_bytes))
        self.size = 64 if has_feature(context, "avx512f") else 32  # bytes
        self.lanes = self.size // min(8, n_bytes)
        self.kind = ir.VectorType(self.lane, self.lanes)
        self.marks = ir.IntType(self.lanes)
        self.bound = self._bound(bound)
        self.pattern = self._pattern(query, max(1, n_bytes // 8))

    def near(self, address: Any) -> Any:
        """Mark the codes from an address on, as many as `marks` has bits."""
        builder, sums = self.builder, []
        for i, query_words in enumerate(self.pattern):
            place = builder.add(address, WORD(self.size * i))
            _prefetch(builder, builder.add(place, WORD(AHEAD)))
            codes = load(builder, place, self.kind)
            sums.append(count_ones(builder, builder.xor(codes, query_words)))
        while len(sums) > 1:  # add neighbours until there is one lane a code
            pairs = zip(sums[::2], sums[1::2], strict=True)
            sums = [self._add_neighbours(*pair) for pair in pairs]
        near = builder.icmp_unsigned("<", sums[0], self.bound)
        return builder.bitcast(near, self.marks)

    def _bound(self, bound: Any) -> Any:
        if self.lane.width < 64:
            largest = WORD((1 << self.lane.width) - 1)
            bound = _minimum(self.builder, bound, largest)
            bound = self.builder.trunc(bound, self.lane)
        return broadcast(self.builder, bound, self.lanes)

    def _pattern(self, query: Any, n_words: int) -> list[Any]:
        """Repeat the query's words as codes repeat in memory."""
        words = [
            load(self.builder, self.builder.add(query, WORD(8 * w)), self.lane)
            for w in range(n_words)
        ]
        pattern = []
        for i in range(n_words):
            vector = ir.Constant(self.kind, None)
            for j in range(self.lanes):
                word = words[(i * self.lanes + j) % n_words]
                vector = self.builder.insert_element(vector, word, ir.IntType(32)(j))
            pattern.append(vector)
        return pattern

    def _add_neighbours(self, first: Any, second: Any) -> Any:
        index = ir.VectorType(ir.IntType(32), self.lanes)
        even, odd = (
            self.builder.shuffle_vector(
                first, second, ir.Constant(index, list(range(i, 2 * self.lanes, 2)))
            )
            for i in (0, 1)
        )
        return self.builder.add(even, odd)


class _OneByOne:
    """Writes the comparison of 64 codes of any other width, one after the other."""

    marks = WORD

    def __init__(
        self, context: Any, builder: Any, n_bytes: int, query: Any, bound: Any
    ) -> None:
        self.builder, self.n_bytes, self.bound = builder, n_bytes, bound
        self.words = [
            load(builder, builder.add(query, WORD(first)), self._word(first))
            for first in range(0, n_bytes, 8)
        ]
        self.mask = cgutils.alloca_once(builder, WORD)

    def near(self, address: Any) -> Any:
        """Mark the 64 codes from an address on."""
        builder = self.builder
        builder.store(WORD(0), self.mask)
        with cgutils.for_range(builder, WORD(64)) as code:
            place = builder.mul(code.index, WORD(self.n_bytes))
            distance = self._distance(builder.add(address, place))
            near = builder.icmp_unsigned("<", distance, self.bound)
            near = builder.shl(builder.zext(near, WORD), code.index)
            builder.store(builder.or_(builder.load(self.mask), near), self.mask)
        return builder.load(self.mask)

    def _distance(self, address: Any) -> Any:
        builder, total = self.builder, WORD(0)
        for first, word in zip(range(0, self.n_bytes, 8), self.words, strict=True):
            code = load(builder, builder.add(address, WORD(first)), word.type)
            unlike = builder.xor(code, word)
            if unlike.type.width < 64:
                unlike = builder.zext(unlike, WORD)
            total = builder.add(total, count_ones(builder, unlike))
        return total

    def _word(self, first: int) -> Any:
        return ir.IntType(8 * min(8, self.n_bytes - first))
