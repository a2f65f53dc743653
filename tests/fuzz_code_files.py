"""Damage files of codes, and forge them, and see what `PackedCodes.load` makes of them.

    python tests/fuzz_code_files.py --files 100000 --seed 0

Each file is loaded in memory and mapped. It must raise ValueError, or hold codes: of a
damaged file those that were saved, of a forged one any codes of the length that the
file is. Anything else is printed, and the program exits with 1.
"""

import argparse
import io
import os
import pickle
import random
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sklhash import PackedCodes


class Case(NamedTuple):
    """What a file was made of: its bytes, and the codes if damage must not show."""

    content: bytes
    codes: PackedCodes | None


def make_cases(folder, rng):
    """Save codes of several lengths; the last of them have no checksum."""
    cases = []
    for n_bits in (1, 8, 31, 57, 64, 100, 256):
        for n_samples in (0, 1, 40, 700):
            codes = PackedCodes.from_codes(rng.randint(2, size=(n_samples, n_bits)))
            codes.save(folder / "saved.npy")
            cases.append(Case((folder / "saved.npy").read_bytes(), codes))
    mapped = PackedCodes.create(folder / "created.npy", 40, 31)
    cases.append(Case((folder / "created.npy").read_bytes(), None))
    del mapped
    row = np.zeros(40, [("bits31", np.uint8, (4,))])  # as former versions wrote it
    cases.append(Case(in_numpy_format(row), None))
    return cases


def in_numpy_format(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


# Damage: what is left must be refused, or be the codes that were saved.


def header_size(content):
    return 10 + int.from_bytes(content[8:10], "little")


def two_places(content, rng):
    return sorted(rng.randrange(len(content) + 1) for _ in range(2))


def flip(content, rng, start=0, stop=None):
    """Flip one bit to eight."""
    changed = bytearray(content)
    places = range(*slice(start, stop).indices(len(content)))
    for _ in range(rng.choice([1, 1, 2, 8]) if places else 0):
        changed[rng.choice(places)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def flip_in_header(content, rng):
    return flip(content, rng, 0, header_size(content))


def flip_in_codes(content, rng):
    return flip(content, rng, header_size(content))


def other_character(content, rng):
    """Put a character that headers have in another's place."""
    place = rng.randrange(10, header_size(content))
    letter = rng.choice(b"0123456789abcdef_-'(),[]{}| \n")
    return content[:place] + bytes([letter]) + content[place + 1 :]


def cut(content, rng):
    return content[: rng.randrange(len(content))]


def cut_one(content, rng):
    return content[:-1]


def grow(content, rng):
    more = rng.randbytes(rng.choice([1, 2, 8, 200]))
    return content + rng.choice([more, bytes(len(more))])


def take_out(content, rng):
    start, stop = two_places(content, rng)
    return content[:start] + content[stop:]


def put_in(content, rng):
    place = rng.randrange(len(content) + 1)
    return content[:place] + rng.randbytes(rng.choice([1, 4, 64])) + content[place:]


def move(content, rng):
    start, stop = two_places(content, rng)
    moved, rest = content[start:stop], content[:start] + content[stop:]
    place = rng.randrange(len(rest) + 1)
    return rest[:place] + moved + rest[place:]


def overwrite(content, rng):
    start, stop = two_places(content, rng)
    return content[:start] + rng.randbytes(stop - start) + content[stop:]


def erase(content, rng):
    """Zero a part, as a disk may that lost a block."""
    start, stop = two_places(content, rng)
    return content[:start] + bytes(stop - start) + content[stop:]


DAMAGE = [
    flip, flip_in_header, flip_in_codes, other_character, cut, cut_one, grow, take_out,
    put_in, move, overwrite, erase,
]  # fmt: skip


# Forgery: whatever is loaded must be in the file.


def with_header(content, text, version=b"\x01\x00"):
    """Put another header before the codes."""
    header = text[:65_000].encode("latin1") + b"\n"
    length = len(header).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + version + length + header + content[header_size(content) :]


SIZES = (
    "0", "1", "2", "40", "700", "-1", "00", "01", "1e9", "True", "0x10", "4294967297",
    "2147483648", "9223372036854775807", "9223372036854775808", "1" * 30, "9" * 5000,
    "1" * 60_000, "(1,)", "None", "2**40", "1_0", "40L", "",
)  # fmt: skip
FORM = (
    "{{'descr': [('{field}', '{dtype}', ({width},))], 'fortran_order': {order}, "
    "'shape': ({rows},), }}{spaces}"
)
FORMS = (
    "{{'descr': [('{field}', '{dtype}', ({width},))], 'fortran_order': {order}, "
    "'shape': ({rows}, {width}), }}{spaces}",
    "{{'descr': [('{field}', '{dtype}', ({width}, {width}))], 'fortran_order': "
    "{order}, 'shape': ({rows},), }}{spaces}",
    "{{'descr': [('{field}', '{dtype}', ({width},)), ('b', '|u1')], 'fortran_order': "
    "{order}, 'shape': ({rows},), }}{spaces}",
    "{{'shape': ({rows},), 'descr': [('{field}', '{dtype}', ({width},))], "
    "'fortran_order': {order}, }}{spaces}",
    "{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': ({rows},), }}{spaces}",
    FORM + "; import os",
    "{{'descr': [('{field}', '{dtype}', ({width},))], 'fortran_order': {order}, "
    "'shape': {rows}, }}{spaces}",
    "",
)
WRONG = {
    "field": (
        "sklhash1_bits{0}_crc--------", "bits{0}", "sklhash2_bits{0}_crc00000000",
        "sklhash999999999_", "sklhash9999999999_", "sklhash01_bits{0}_crc00000000",
        "sklhash1_bits{0}", "sklhash1_bits{0}_crcABCDEF01", "bits{0}_crc00000000",
        "sklhash1_bits{0}_crc0000000", "bits", "bits+{0}", "bits0{0}", "",
    ),
    "dtype": ("|O", "<u8", "|V8", "<f8", "|S1", "|b1", "|i1", "u1", "|u2", "O"),
    "width": SIZES,
    "rows": SIZES,
    "order": ("True", "0", "None", "false"),
    "spaces": ("", " ", " " * 5000, " " * 60_000, "\n", "\t", "\0", "#"),
    "form": FORMS,
    "version": (b"\x02\x00", b"\x03\x00", b"\x01\x01", b"\x00\x01", b"\xff\x00"),
}  # fmt: skip


def forge(content, rng):
    """Declare other codes, and what the file may not hold."""
    n_bits = rng.choice([1, 8, 31, 57, 64, 100, 9999, 65_535, 65_536, 99_999])
    width = -(-n_bits // 8)
    declared = {
        "field": "sklhash1_bits{0}_crc00000000",
        "dtype": "|u1",
        "width": width,
        "rows": (len(content) - header_size(content)) // width,
        "order": "False",
        "spaces": " " * rng.choice([0, 1, 60]),
        "form": FORM,
        "version": b"\x01\x00",
    }
    for name in rng.sample(sorted(WRONG), rng.choice([0, 1, 1, 1, 1, 2, 4])):
        declared[name] = rng.choice(WRONG[name])
    length = rng.choice([n_bits, n_bits, n_bits, rng.choice(SIZES)])
    declared["field"] = declared["field"].format(length)
    text = declared["form"].format_map(declared)
    return with_header(content, text, declared["version"])


def swap(content, rng):
    """Put the header of other codes before these."""
    other = rng.choice(CASES).content
    return other[: header_size(other)] + content[header_size(content) :]


def nest(content, rng):
    """Nest what an evaluated header would choke on."""
    bracket = rng.choice(["(", "[", "{", "-", "~", "not ", "1+", "1,", "'", "\\", "#"])
    text = bracket * rng.choice([50, 200, 3000, 30_000])
    if rng.randrange(2):
        text = f"{{'descr': {text}, 'fortran_order': False, 'shape': (1,), }}"
    return with_header(content, text)


def other_magic(content, rng):
    start = rng.choice(
        [
            b"PK\x03\x04", b"\x93NUMPY\x02\x00", b"\x93NUMPY\x03\x00", b"\x1f\x8b",
            b"\x93NUMPY\x00\x00", b"\x93NUMPY\xff\xff", b"\x93NUMPZ\x01\x00", b"PAR1",
            b"\x89HDF\r\n\x1a\n", b"\x80\x04\x95", bytes(8), b"\xef\xbb\xbf", b"%PDF",
        ]
    )  # fmt: skip
    return start + content[rng.choice([0, len(start)]) :]


def other_length(content, rng):
    """Let the header be said to be longer or shorter than it is."""
    length = rng.choice([0, 1, 64, 117, 118, 119, 182, 246, rng.randrange(65_536)])
    return content[:8] + length.to_bytes(2, "little") + content[10:]


class Harm:
    """Makes a folder when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, (str(HARM),)


def pickled(content, rng):
    """Give a pickle, or an array of objects, that does something."""
    if rng.randrange(2):
        return pickle.dumps(Harm(), rng.randrange(6)) + rng.choice([b"", content])
    return in_numpy_format(np.array([Harm()], object))


def archive(content, rng):
    file = io.BytesIO()
    rng.choice([np.savez, np.savez_compressed])(file, a=np.zeros(9), b=[1])
    return file.getvalue()


def noise(content, rng):
    start = content[: rng.choice([0, 8, 10, 40, header_size(content)])]
    return start + rng.randbytes(rng.randrange(2000))


def nothing(content, rng):
    return b""


FORGERY = [
    forge, forge, forge, forge, forge, forge, swap, swap, nest, other_magic,
    other_length, pickled, archive, noise, nothing,
]  # fmt: skip


def check(path, case, is_damage, mmap_mode):
    """Load a file, and say how it went; raise if it did not go as it must."""
    content = path.read_bytes()
    try:
        loaded = PackedCodes.load(path, mmap_mode=mmap_mode)
    except ValueError as error:
        message = str(error)
        if path.name not in message or len(message) > 500:
            raise AssertionError(f"message: {message[:300]}") from error
        return "refused"
    n_samples, n_bits = loaded.shape
    assert loaded.packed.dtype == np.uint8
    assert loaded.packed.shape == (n_samples, -(-n_bits // 8))
    assert 1 <= n_bits <= 65_535
    assert header_size(content) + loaded.nbytes == len(content)
    assert PackedCodes(loaded.packed, n_bits) is not None  # no padding is set
    if is_damage and case.codes is not None and mmap_mode is None:
        assert loaded == case.codes, "other codes than those that were saved"
        return "the codes saved"
    return "codes"


def one_file(path, rng):
    """Make one file, load it in two ways, and give what came of it."""
    case, kinds = rng.choice(CASES), rng.choice([DAMAGE, FORGERY])
    path.write_bytes(rng.choice(kinds)(case.content, rng))
    modes = (None, "r", rng.choice(["r+", "c"]))
    return [check(path, case, kinds is DAMAGE, mode) for mode in modes]


MODES = ("read", "mapped", "mapped to be written to")


def limit_memory(megabytes):
    """Allow so much address space more than is in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit-mb", type=int, help="more address space than at start")
    arguments = parser.parse_args()
    outcomes, failures, slowest = Counter(), 0, 0.0
    if arguments.limit_mb:
        limit_memory(arguments.limit_mb)
    start = time.perf_counter()
    for i in range(arguments.files):
        rng = random.Random(f"{arguments.seed} {i}")
        began = time.perf_counter()
        try:
            found = one_file(FOLDER / "file.npy", rng)
        except Exception:
            failures += 1
            print(f"file {i} of seed {arguments.seed}:", file=sys.stderr)
            traceback.print_exc()
            if failures == 20:
                break
            continue
        slowest = max(slowest, time.perf_counter() - began)
        for mode, outcome in zip(MODES, found, strict=True):
            outcomes[mode, outcome] += 1
    seconds = time.perf_counter() - start
    for (mode, outcome), count in sorted(outcomes.items()):
        print(f"{mode}: {outcome}: {count:,}")
    harmed = HARM.exists()
    print(f"{arguments.files:,} files, {arguments.files / seconds:,.0f} a second")
    print(f"slowest: {slowest * 1000:.0f} ms")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory: {peak:.0f} MB")
    print(f"failures: {failures}; code was run: {harmed}")
    return 1 if failures or harmed else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        FOLDER, HARM = Path(temporary), Path(temporary) / "harm"
        CASES = make_cases(FOLDER, np.random.RandomState(0))
        sys.exit(main())
