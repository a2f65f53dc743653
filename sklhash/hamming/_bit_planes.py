"""Distances by bit planes: hundreds of codes in a step, without counting bits.

Plane j of a tile of codes holds bit j of all of them. A network of full adders sums the
planes of differing bits, 512 codes to a step with vectors of 512 bits; the sum is
compared with a bound in the same way. That takes half as many instructions as vectors
of popcounts do, or a quarter where a processor has none. Or the bits of the sum become
a mask for every distance, whose popcounts are a histogram.

Three bits of a query are looked up at once: of each three planes a, b and c, the sum
a ^ b ^ c and the carry maj(a, b, c) are kept for all patterns of flipped planes, so the
first full adders cost a query nothing but loads.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._vectors import (
    WORD,
    broadcast,
    call,
    has_feature,
    load,
    reduce_lanes,
    store,
    vector,
)

#: Codes whose bits fill a row of 64 bytes in a plane.
BLOCK = 512
#: Planes kept of three bits: two of the sum, eight of the carry.
TRIPLE = 10


def n_planes_of(unit: int) -> int:
    """Count the planes kept of a word of so many bytes."""
    n_triples, n_single = divmod(8 * unit, 3)
    return TRIPLE * n_triples + 2 * n_single


class Adders:
    """Writes full adders for the processor that code is generated for."""

    def __init__(self, context: Any, builder: Any) -> None:
        self.builder = builder
        # Any function of three bits is one instruction there.
        self.ternary = has_feature(context, "avx512f")
        self.lanes = 8 if self.ternary else 4

    def full(self, a: Any, b: Any, c: Any) -> tuple[Any, Any]:
        """Sum and carry of three bits."""
        if self.ternary:
            return self._ternary(0x96, a, b, c), self._ternary(0xE8, a, b, c)
        half = self.builder.xor(a, b)
        carry = self.builder.and_(half, self.builder.xor(a, c))
        return self.builder.xor(half, c), self.builder.xor(a, carry)

    def half(self, a: Any, b: Any) -> tuple[Any, Any]:
        """Sum and carry of two bits."""
        return self.builder.xor(a, b), self.builder.and_(a, b)

    def all_flips(self, a: Any, b: Any, c: Any) -> list[Any]:
        """Give both sums, and all carries, of three bits that may be flipped.

        Place i of the sums has an odd number of bits flipped if i is 1; place i of the
        carries has a, b and c flipped where bits 0, 1 and 2 of i are set.
        """
        total, _ = self.full(a, b, c)
        carries = [
            self.full(
                *(
                    self.builder.not_(bit) if flips >> i & 1 else bit
                    for i, bit in enumerate((a, b, c))
                )
            )[1]
            for flips in range(8)
        ]
        return [total, self.builder.not_(total), *carries]

    def less(self, bit: Any, bound: Any, lower: Any) -> Any:
        """Tell where number < bound, from one bit of both and the bits below."""
        if self.ternary:  # the carry of bound - number: maj(not bit, bound, lower)
            return self._ternary(0x8E, bit, bound, lower)
        unlike = self.builder.xor(bit, bound)
        return self.builder.or_(
            self.builder.and_(unlike, bound),
            self.builder.and_(self.builder.not_(unlike), lower),
        )

    def count(self, planes: Any) -> list[Any]:
        """Add up planes, given with the weights (0 for 1, 1 for 2) of their bits.

        Sums are formed as soon as there are three planes of a weight, which keeps few
        of them waiting. Gives the bits of the total, lowest first.
        """
        waiting: list[list[Any]] = []

        def put(weight: int, plane: Any) -> None:
            while len(waiting) <= weight:
                waiting.append([])
            waiting[weight].append(plane)
            if len(waiting[weight]) == 3:
                total, carry = self.full(*waiting[weight])
                waiting[weight] = [total]
                put(weight + 1, carry)

        for weight, plane in planes:
            put(weight, plane)
        weight = 0
        while weight < len(waiting):
            if len(waiting[weight]) == 2:
                total, carry = self.half(*waiting[weight])
                waiting[weight] = [total]
                put(weight + 1, carry)
            weight += 1
        return [planes[0] for planes in waiting]

    def keep(self, marks: Any, bits: list[Any], number: int) -> Any:
        """Keep marks where one bit, or two (the lower first), form a number."""
        if self.ternary and len(bits) == 2:
            return self._ternary(1 << (4 + number), marks, bits[1], bits[0])
        for i, bit in enumerate(bits):
            bit = bit if number >> i & 1 else self.builder.not_(bit)
            marks = self.builder.and_(marks, bit)
        return marks

    def _ternary(self, table: int, a: Any, b: Any, c: Any) -> Any:
        name = "llvm.x86.avx512.pternlog.q.512"
        return call(self.builder, name, a.type, a, b, c, ir.IntType(32)(table))


def planes_of_unit(
    builder: Any, lanes: int, n_bits: int, planes: Any, places: Any, row: Any
) -> Any:
    """Load the planes that stand for the bits in which a query differs."""
    n_triples, n_single = divmod(n_bits, 3)
    weights = [0, 1] * n_triples + [0] * n_single
    for i, weight in enumerate(weights):
        place = load(builder, builder.add(places, WORD(4 * i)), ir.IntType(32))
        address = builder.add(builder.add(planes, row), builder.zext(place, WORD))
        yield weight, load(builder, address, vector(lanes))


@intrinsic
def nearer_in_tile(
    typing_context: Any,
    unit: Any,
    planes: Any,
    places: Any,
    bounds: Any,
    masks: Any,
    n_rows: Any,
) -> Any:
    """Mark the codes of a tile, of up to eight bytes, that are nearer than a bound.

    Parameters
    ----------
    unit : tuple of as many integers as a code has bytes
    planes, places, bounds, masks : uint64
        Addresses: of the tile's planes; of the planes that the query asks for, as
        distances in bytes (uint32); of the bound's bits, lowest first, all ones or all
        zeros in a word; of the marks, a bit a code.
    n_rows : uint64
        Rows of 64 bytes in a plane of the tile.

    Returns
    -------
    any : uint64
        Not 0 if there are such codes.
    """
    n_bits = 8 * unit.count

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, planes, places, bounds, masks, n_rows = arguments
        adders = Adders(context, builder)
        kind, step = vector(adders.lanes), 8 * adders.lanes
        found = cgutils.alloca_once_value(builder, ir.Constant(kind, None))
        end = builder.mul(n_rows, WORD(64))
        with cgutils.for_range_slice(builder, WORD(0), end, WORD(step)) as (row, _):
            bits = planes_of_unit(builder, adders.lanes, n_bits, planes, places, row)
            lower = ir.Constant(kind, None)
            for i, bit in enumerate(adders.count(bits)):
                bound = load(builder, builder.add(bounds, WORD(8 * i)), WORD)
                bound = broadcast(builder, bound, adders.lanes)
                lower = adders.less(bit, bound, lower)
            store(builder, lower, builder.add(masks, row))
            builder.store(builder.or_(builder.load(found), lower), found)
        return reduce_lanes(builder, "or", builder.load(found))

    parameters = (unit, *(types.uint64,) * 5)
    return types.uint64(*parameters), generate


@intrinsic
def add_unit(
    typing_context: Any,
    unit: Any,
    planes: Any,
    places: Any,
    counters: Any,
    n_counters: Any,
    n_rows: Any,
) -> Any:
    """Add the differing bits of one word of the codes of a tile to bit-sliced counters.

    Parameters
    ----------
    unit, planes, places, n_rows
        As in `nearer_in_tile`, of this word.
    counters : uint64
        Address of n_counters planes of the tile, lowest bit first.
    n_counters : uint64
    """
    n_bits = 8 * unit.count

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, planes, places, counters, n_counters, n_rows = arguments
        adders = Adders(context, builder)
        kind, step = vector(adders.lanes), 8 * adders.lanes
        waiting = cgutils.alloca_once_value(builder, ir.Constant(kind, None))
        end = builder.mul(n_rows, WORD(64))
        with cgutils.for_range_slice(builder, WORD(0), end, WORD(step)) as (row, _):
            bits = planes_of_unit(builder, adders.lanes, n_bits, planes, places, row)
            carry = ir.Constant(kind, None)
            counts = adders.count(bits)
            for i, bit in enumerate(counts):
                place = builder.add(row, builder.mul(end, WORD(i)))
                place = builder.add(counters, place)
                before = load(builder, place, kind)
                total, carry = adders.full(before, bit, carry)
                store(builder, total, place)
            builder.store(carry, waiting)
            first = WORD(len(counts))
            with cgutils.for_range_slice(builder, first, n_counters, WORD(1)) as (i, _):
                place = builder.add(row, builder.mul(end, i))
                place = builder.add(counters, place)
                before = load(builder, place, kind)
                total, carry = adders.half(before, builder.load(waiting))
                store(builder, total, place)
                builder.store(carry, waiting)
        return WORD(0)

    return types.uint64(unit, *(types.uint64,) * 5), generate


@intrinsic
def nearer_by_counters(
    typing_context: Any,
    counters: Any,
    n_counters: Any,
    bounds: Any,
    masks: Any,
    n_rows: Any,
) -> Any:
    """Mark the codes of a tile whose counters are less than a bound.

    Parameters and result are those of `nearer_in_tile` and `add_unit`.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        counters, n_counters, bounds, masks, n_rows = arguments
        adders = Adders(context, builder)
        kind, step = vector(adders.lanes), 8 * adders.lanes
        found = cgutils.alloca_once_value(builder, ir.Constant(kind, None))
        lower = cgutils.alloca_once(builder, kind)
        end = builder.mul(n_rows, WORD(64))
        with cgutils.for_range_slice(builder, WORD(0), end, WORD(step)) as (row, _):
            builder.store(ir.Constant(kind, None), lower)
            with cgutils.for_range(builder, n_counters) as loop:
                place = builder.add(row, builder.mul(end, loop.index))
                bit = load(builder, builder.add(counters, place), kind)
                bound = builder.add(bounds, builder.mul(loop.index, WORD(8)))
                bound = broadcast(builder, load(builder, bound, WORD), adders.lanes)
                less = adders.less(bit, bound, builder.load(lower))
                builder.store(less, lower)
            less = builder.load(lower)
            store(builder, less, builder.add(masks, row))
            builder.store(builder.or_(builder.load(found), less), found)
        return reduce_lanes(builder, "or", builder.load(found))

    return types.uint64(*(types.uint64,) * 5), generate


@intrinsic
def transpose(typing_context: Any, rows: Any) -> Any:
    """Turn 64 rows of 8 words, 64 codes a column, into 64 bit planes, in place.

    Bit v of word l of plane j is bit j of word l of row v. Bits are swapped between
    halves of the rows, then of the halves, and so on, three times on eight rows.
    """

    def swap(builder: Any, vectors: list[Any], i: int, j: int, step: int) -> None:
        kind = vectors[i].type
        ones = (2**64 - 1) // (2**step + 1)  # `step` ones, `step` zeros, and so on
        shift, keep = (ir.Constant(kind, [x] * kind.count) for x in (step, ones))
        low, high = vectors[i], vectors[j]
        other = builder.xor(builder.lshr(low, shift), high)
        other = builder.and_(other, keep)
        vectors[i] = builder.xor(low, builder.shl(other, shift))
        vectors[j] = builder.xor(high, other)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lanes = Adders(context, builder).lanes
        for apart, next_group in ((8, 1), (1, 8)):
            with cgutils.for_range(builder, WORD(8)) as group:
                first = builder.mul(group.index, WORD(64 * next_group))
                first = builder.add(arguments[0], first)
                for half in range(0, 64, 8 * lanes):
                    places = [
                        builder.add(first, WORD(64 * apart * i + half))
                        for i in range(8)
                    ]
                    kind = vector(lanes)
                    vectors = [load(builder, place, kind) for place in places]
                    for gap in (4, 2, 1):
                        for i in range(8):
                            if not i & gap:
                                swap(builder, vectors, i, i + gap, apart * gap)
                    for bits, place in zip(vectors, places, strict=True):
                        store(builder, bits, place)
        return context.get_dummy_value()

    return types.void(types.uint64), generate


@intrinsic
def combine_planes(
    typing_context: Any, unit: Any, rows: Any, planes: Any, apart: Any
) -> Any:
    """Write the planes that stand for the bits of 512 codes, flipped in any way.

    Parameters
    ----------
    unit : tuple of as many integers as a code has bytes
    rows, planes : uint64
        Addresses of the bit planes, and of the first plane to write.
    apart : uint64
        Bytes from plane to plane.
    """
    n_triples, n_single = divmod(8 * unit.count, 3)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, rows, planes, apart = arguments
        adders = Adders(context, builder)
        kind, step = vector(adders.lanes), 8 * adders.lanes

        def write(vectors: list[Any], place: Any, half: int) -> None:
            for i, bits in enumerate(vectors):
                plane = builder.add(place, builder.mul(apart, WORD(i)))
                store(builder, bits, builder.add(plane, WORD(half)))

        for half in range(0, 64, step):
            with cgutils.for_range(builder, WORD(n_triples)) as triple:
                first = builder.mul(triple.index, WORD(3 * 64))
                bits = [
                    load(builder, builder.add(builder.add(rows, first), offset), kind)
                    for offset in (WORD(64 * i + half) for i in range(3))
                ]
                place = builder.mul(triple.index, builder.mul(apart, WORD(TRIPLE)))
                write(adders.all_flips(*bits), builder.add(planes, place), half)
            for i in range(n_single):
                offset = WORD(64 * (3 * n_triples + i) + half)
                bit = load(builder, builder.add(rows, offset), kind)
                place = builder.mul(apart, WORD(TRIPLE * n_triples + 2 * i))
                flips = [bit, builder.not_(bit)]
                write(flips, builder.add(planes, place), half)
        return context.get_dummy_value()

    return types.void(unit, *(types.uint64,) * 3), generate
