"""Counts by bit planes: codes of a tile by distance, and by shared labels.

The planes of a tile's distances, as full adders give them (:mod:`._bit_planes`), are
cut into a mask of the codes at each distance, and its bits are counted.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._bit_planes import Adders, planes_of_unit
from ._vectors import (
    WORD,
    count_ones,
    load,
    reduce_lanes,
    store,
    vector,
)

#: Runs of ``2**RUN_BITS`` distances are passed over where a tile has none of them.
RUN_BITS = 4


class DistanceCounts:
    """Writes how marked codes are counted by distance, from the bits of distances."""

    def __init__(self, adders: Adders, bits: list[Any], n_bits: int, sums: Any) -> None:
        self.adders, self.builder = adders, adders.builder
        self.bits, self.n_bits, self.sums = bits, n_bits, sums

    def add(self, marks: Any, n_unknown: int, first: int = 0) -> None:
        """Count codes of which all but some lower bits are known, those of `first`.

        Two bits are told at once, but one if their number is odd.
        """
        if not n_unknown:
            self._add_ones(marks, first)
            return
        n_lower = (n_unknown - 1) // 2 * 2
        bits = self.bits[n_lower:n_unknown]
        numbers = range(min(2 ** len(bits), (self.n_bits - first >> n_lower) + 1))
        for number in numbers:
            # Where no code can have another number, these bits are known, too.
            kept = self.adders.keep(marks, bits, number) if len(numbers) > 1 else marks
            with self.if_any(kept) if n_lower == RUN_BITS else nullcontext():
                self.add(kept, n_lower, first + (number << n_lower))

    def if_any(self, marks: Any) -> AbstractContextManager[None]:
        """Run what follows for some marks alone."""
        marks = reduce_lanes(self.builder, "or", marks)
        return self.builder.if_then(self.builder.icmp_unsigned("!=", marks, WORD(0)))

    def _add_ones(self, marks: Any, distance: int) -> None:
        place = self.builder.add(self.sums, WORD(64 * distance))
        total = load(self.builder, place, marks.type)
        total = self.builder.add(total, count_ones(self.builder, marks))
        store(self.builder, total, place)


@intrinsic
def count_in_tile(
    typing_context: Any, unit: Any, planes: Any, places: Any, marks: Any, sums: Any
) -> Any:
    """Count codes of up to eight bytes, a tile of one row, by distance.

    Parameters
    ----------
    unit, planes, places
        As in `nearer_in_tile`.
    marks : uint64
        Address of marks of the codes that are counted, a bit a code.
    sums : uint64
        Address of words of shape (n_bits + 1, 8), which are added to: the eight of a
        distance make up its count.
    """
    n_bits = 8 * unit.count

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, planes, places, marks, sums = arguments
        adders = Adders(context, builder)
        kind, step = vector(adders.lanes), 8 * adders.lanes
        for half in range(0, 64, step):
            row = WORD(half)
            bits = planes_of_unit(builder, adders.lanes, n_bits, planes, places, row)
            bits = adders.count(bits)[: n_bits.bit_length()]
            counts = DistanceCounts(adders, bits, n_bits, builder.add(sums, row))
            counts.add(load(builder, builder.add(marks, row), kind), len(bits))
        return context.get_dummy_value()

    return types.void(unit, *(types.uint64,) * 4), generate


@intrinsic
def count_grades_in_tile(
    typing_context: Any,
    unit: Any,
    planes: Any,
    places: Any,
    marks: Any,
    sums: Any,
    n_grades: Any,
) -> Any:
    """Count codes as `count_in_tile` does, by distance and by which marks they have.

    Parameters
    ----------
    unit, planes, places
        As in `nearer_in_tile`.
    marks, sums : uint64
        Addresses of those of the first grade, which those of the others follow.
    n_grades : uint64
    """
    n_bits = 8 * unit.count

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, planes, places, marks, sums, n_grades = arguments
        adders = Adders(context, builder)
        kind, step = vector(adders.lanes), 8 * adders.lanes
        for half in range(0, 64, step):
            row = WORD(half)
            bits = planes_of_unit(builder, adders.lanes, n_bits, planes, places, row)
            bits = adders.count(bits)[: n_bits.bit_length()]
            with cgutils.for_range(builder, n_grades) as grade:
                own = builder.add(marks, builder.mul(grade.index, WORD(64)))
                kept = load(builder, builder.add(own, row), kind)
                own = builder.mul(grade.index, WORD(64 * (n_bits + 1)))
                own = builder.add(builder.add(sums, row), own)
                counts = DistanceCounts(adders, bits, n_bits, own)
                with counts.if_any(kept):
                    counts.add(kept, len(bits))
        return context.get_dummy_value()

    return types.void(unit, *(types.uint64,) * 5), generate


@intrinsic
def mark_grades(
    typing_context: Any, planes: Any, labels: Any, n_labels: Any, marks: Any
) -> Any:
    """Mark the codes of a tile by how many of some labels they have.

    Parameters
    ----------
    planes : uint64
        Address of planes of eight words: the codes that there are, then those with each
        label.
    labels : uint64
        Address of the places of the labels among the planes, as distances in bytes
        (uint64).
    n_labels : uint64
    marks : uint64
        Address of words of shape (n_labels + 1, 8), which are written to: the codes
        with none of the labels, with one, and so on.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        planes, labels, n_labels, marks = arguments
        kind = vector(8)
        below = cgutils.alloca_once(builder, kind)
        store(builder, load(builder, planes, kind), marks)
        with cgutils.for_range(builder, n_labels) as label:
            place = builder.add(labels, builder.mul(label.index, WORD(8)))
            place = builder.add(planes, load(builder, place, WORD))
            chosen = load(builder, place, kind)
            others = builder.not_(chosen)
            n_grades = builder.add(label.index, WORD(1))
            builder.store(ir.Constant(kind, None), below)
            with cgutils.for_range(builder, n_grades) as grade:
                place = builder.add(marks, builder.mul(grade.index, WORD(64)))
                before = load(builder, place, kind)
                risen = builder.and_(builder.load(below), chosen)
                stay = builder.and_(before, others)
                store(builder, builder.or_(risen, stay), place)
                builder.store(before, below)
            place = builder.add(marks, builder.mul(n_grades, WORD(64)))
            store(builder, builder.and_(builder.load(below), chosen), place)
        return context.get_dummy_value()

    return types.void(*(types.uint64,) * 4), generate


@intrinsic
def take_sum(typing_context: Any, words: Any) -> Any:
    """Add up the eight words at an address, and clear them."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        words = load(builder, arguments[0], vector(8))
        store(builder, ir.Constant(words.type, None), arguments[0])
        return reduce_lanes(builder, "add", words)

    return types.uint64(types.uint64), generate
