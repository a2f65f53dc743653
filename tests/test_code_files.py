"""Files of codes: their format, damage, forgery, and files of former versions."""

import os
import re
import shutil
import subprocess
import sys
import threading
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklhash import ITQ, HammingRetriever, PackedCodes, code_files
from sklhash.cli import main
from sklhash.code_files import (
    CodesWriter,
    is_code_file,
    open_regular,
    written_whole,
)

FROZEN = Path(__file__).parent / "frozen"
FIELD = re.compile(rb"sklhash1_bits(\d+)_crc([0-9a-f]{8}|-{8})")


@pytest.fixture
def codes():
    """700 codes of 31 bits; the last bit of each byte string is padding."""
    return PackedCodes.from_codes(np.random.RandomState(0).randint(2, size=(700, 31)))


@pytest.fixture
def path(codes, tmp_path):
    """A file of these codes."""
    codes.save(tmp_path / "codes.npy")
    return tmp_path / "codes.npy"


def stamp(path):
    """Give the checksum that a file holds."""
    return FIELD.search(path.read_bytes())[2].decode()


# What is in the frozen files, written by the versions that they are named after.
BITS_31 = "00000000 ffffff7f 01020304 89abcd6f 78563412"
BITS_64 = "0000000000000000 ffffffffffffffff 0123456789abcdef"


@pytest.mark.parametrize("mmap_mode", [None, "r"])
@pytest.mark.parametrize(
    ("name", "n_bits", "rows"),
    [
        ("codes_0_31bits", 31, BITS_31),
        ("codes_1_31bits", 31, BITS_31),
        ("codes_1_64bits", 64, BITS_64),
        ("codes_1_empty", 64, ""),
        ("codes_1_unchecked", 31, BITS_31),
    ],
)
def test_files_of_former_versions(name, n_bits, rows, mmap_mode):
    """What a version wrote, this one reads: the first number is the format."""
    expected = np.frombuffer(bytes.fromhex(rows), np.uint8).reshape(-1, -(-n_bits // 8))
    codes = PackedCodes.load(FROZEN / f"{name}.npy", mmap_mode)
    assert codes.n_bits == n_bits
    assert_array_equal(codes.packed, expected, strict=True)


@pytest.mark.parametrize("name", ["codes_1_31bits", "codes_1_64bits", "codes_1_empty"])
def test_this_version_writes_the_same_bytes(name, tmp_path):
    """The format does not change without its number."""
    frozen = FROZEN / f"{name}.npy"
    PackedCodes.load(frozen).save(tmp_path / "codes.npy")
    assert (tmp_path / "codes.npy").read_bytes() == frozen.read_bytes()


@pytest.mark.parametrize("n_bits", [1, 31, 64, 65_535])
@pytest.mark.parametrize("n_samples", [0, 1, 200])
def test_checksum_is_of_length_and_bytes(n_bits, n_samples, tmp_path, rng):
    """Anyone can compute it, by zlib, over more than a block as well."""
    codes = PackedCodes.from_codes(rng.randint(2, size=(n_samples, n_bits)))
    codes.save(tmp_path / "codes.npy")
    expected = zlib.crc32(b"bits%d" % n_bits + codes.packed.tobytes())
    assert stamp(tmp_path / "codes.npy") == f"{expected:08x}"
    assert PackedCodes.load(tmp_path / "codes.npy") == codes
    mapped = PackedCodes.load(tmp_path / "codes.npy", "r", verify=True)
    assert mapped == codes


def test_blocks_do_not_show(codes, tmp_path, monkeypatch):
    """Codes are written and read in blocks, of a row at least."""
    codes.save(tmp_path / "whole.npy")
    for block in (1, 100, 1 << 20):
        monkeypatch.setattr(code_files, "BLOCK_BYTES", block)
        codes.save(tmp_path / "blocks.npy")
        written = (tmp_path / "blocks.npy").read_bytes()
        assert written == (tmp_path / "whole.npy").read_bytes()
        for mmap_mode in (None, "r"):
            loaded = PackedCodes.load(tmp_path / "blocks.npy", mmap_mode, verify=True)
            assert loaded == codes


def test_each_changed_bit_is_found(tmp_path):
    """No file of which one bit was changed is read as other codes."""
    codes = PackedCodes.from_codes(np.random.RandomState(0).randint(2, size=(5, 31)))
    codes.save(tmp_path / "codes.npy")
    content = (tmp_path / "codes.npy").read_bytes()
    with open(tmp_path / "codes.npy", "r+b", buffering=0) as file:
        for place in range(8 * len(content)):
            byte = content[place // 8]
            for changed in (byte ^ (1 << place % 8), byte):
                file.seek(place // 8)
                file.write(bytes([changed]))
                if changed != byte:
                    with pytest.raises(ValueError, match=r"codes\.npy"):
                        PackedCodes.load(tmp_path / "codes.npy")
    assert PackedCodes.load(tmp_path / "codes.npy") == codes


def test_code_length_is_under_the_checksum(path):
    """Codes of 31 bits are not read as those of 30, though they fill as many bytes."""
    codes = PackedCodes(np.zeros((9, 4), np.uint8), 31)
    codes.save(path)
    path.write_bytes(path.read_bytes().replace(b"bits31", b"bits30"))
    with pytest.raises(ValueError, match="is damaged: its codes are not those that"):
        PackedCodes.load(path)
    assert PackedCodes.load(path, "r").n_bits == 30  # maps are not verified
    with pytest.raises(ValueError, match="checksum is of"):
        PackedCodes.load(path, "r", verify=True)


@pytest.mark.parametrize("mmap_mode", [None, "r", "r+", "c"])
@pytest.mark.parametrize("change", ["cut", "cut header", "grow", "padding"])
def test_damage_is_found_without_the_checksum(path, mmap_mode, change):
    """Lengths and padding are compared in any mode; a refused file is not changed."""
    content = bytearray(path.read_bytes())
    if change == "padding":
        content[-1] |= 128
    content = {
        "cut": content[:-1],
        "cut header": content[:150],
        "grow": content + b"\0" * 4,
        "padding": content,
    }[change]
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"codes\.npy' (is damaged|holds no packed)"):
        PackedCodes.load(path, mmap_mode, verify=False)
    assert path.read_bytes() == content


def test_verify(path, codes):
    """It can be left out, asked for, and is refused where there is no checksum."""
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    for mmap_mode, verify in ((None, None), (None, True), ("r", True), ("r+", True)):
        with pytest.raises(ValueError, match="its codes are not those"):
            PackedCodes.load(path, mmap_mode, verify=verify)
    assert path.read_bytes() == content
    for mmap_mode, verify in ((None, False), ("r", None), ("r", False)):
        assert PackedCodes.load(path, mmap_mode, verify=verify) != codes
    for name in ("codes_0_31bits.npy", "codes_1_unchecked.npy"):
        with pytest.raises(ValueError, match="has no checksum to verify: load it with"):
            PackedCodes.load(FROZEN / name, verify=True)


@pytest.mark.parametrize("verify", [1, 0, "no", np.array(True)])
def test_verify_is_true_or_false(verify, path, codes):
    """What is neither is refused; numpy's are as good."""
    message = "verify must be True, False or None; got "
    with pytest.raises(TypeError, match=message):
        PackedCodes.load(path, verify=verify)
    assert PackedCodes.load(path, verify=np.bool_(True)) == codes


def test_codes_mapped_to_be_written_to_lose_their_checksum(path, codes):
    """What was changed is loaded; saved again, it has a checksum again."""
    mapped = PackedCodes.load(path, "r+", verify=True)
    mapped.packed[3] = 5
    mapped.packed.flush()
    assert stamp(path) == "--------"
    changed = PackedCodes(codes.packed.copy(), 31)
    changed.packed[3] = 5
    assert PackedCodes.load(path) == changed
    mapped.save(path)
    assert stamp(path) != "--------"
    assert PackedCodes.load(path, verify=True) == changed


@pytest.mark.parametrize("mmap_mode", [None, "r", "c"])
def test_other_modes_leave_the_file(path, mmap_mode, codes):
    """Only 'r+' writes to the file."""
    before = path.read_bytes()
    loaded = PackedCodes.load(path, mmap_mode)
    assert loaded == codes
    assert loaded.packed.flags.writeable == (mmap_mode != "r")
    if mmap_mode == "c":
        loaded.packed[0] = 0
    del loaded
    assert path.read_bytes() == before


@pytest.mark.parametrize("number", [2, 10, 999_999_999])
def test_newer_formats(number, path):
    """A format of the future is told from damage, with both numbers and the way out."""
    newer = b"sklhash%d_" % number
    path.write_bytes(path.read_bytes().replace(b"sklhash1_", newer))
    message = rf"in format {number} by a newer .* up to 1: upgrade it"
    with pytest.raises(ValueError, match=message):
        PackedCodes.load(path)


def header(text, version=b"\x01\x00"):
    """Make a file that is a header, with 4 bytes behind it."""
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + bytes(4)


ROW = b"{'descr': [('bits31', '|u1', (4,))], 'fortran_order': False, 'shape': (1,), }\n"
FORGED = {
    "huge": ROW.replace(b"(1,)", b"(1152921504606846975,)"),
    "overflow": ROW.replace(b"(1,)", b"(9223372036854775807,)"),
    "digits": ROW.replace(b"(1,)", b"(%s,)" % (b"9" * 60_000)),
    "negative": ROW.replace(b"(1,)", b"(-1,)"),
    "leading_zero": ROW.replace(b"(1,)", b"(01,)"),
    "matrix": ROW.replace(b"(1,)", b"(1, 1)"),
    "fortran": ROW.replace(b"False", b"True"),
    "objects": ROW.replace(b"|u1", b"|O"),
    "two_fields": ROW.replace(b"(4,))]", b"(3,)), ('b', '|u1')]"),
    "order": b"{'shape': (1,), " + ROW[1:-18] + b"}\n",
    "too_long": ROW.replace(b"bits31", b"bits65536").replace(b"(4,)", b"(8192,)"),
    "half_stamp": ROW.replace(b"bits31", b"sklhash1_bits31"),
    "capitals": ROW.replace(b"bits31", b"sklhash1_bits31_crcABCDEF01"),
    "nested": b"{'descr': " + b"(" * 30_000 + b"\n",
    "minus": b"{'descr': " + b"-" * 30_000 + b"1}\n",
    "call": b"__import__('os').abort()\n",
}


@pytest.mark.parametrize("mmap_mode", [None, "r"])
@pytest.mark.parametrize("text", FORGED.values(), ids=FORGED)
def test_forged_headers(text, mmap_mode, tmp_path):
    """What `save` would not write is refused, before memory is taken for it."""
    (tmp_path / "forged").write_bytes(header(text))
    with pytest.raises(ValueError, match=r"forged' (holds no packed|is damaged)"):
        PackedCodes.load(tmp_path / "forged", mmap_mode)


@pytest.mark.parametrize("version", [b"\x02\x00", b"\x03\x00", b"\x01\x01"])
def test_other_versions_of_numpy_s_format(version, tmp_path):
    """Ours is 1.0, whose headers are ASCII and of 64 KB at most."""
    (tmp_path / "file").write_bytes(header(ROW))
    assert PackedCodes.load(tmp_path / "file").shape == (1, 31)
    (tmp_path / "file").write_bytes(header(ROW, version))
    with pytest.raises(ValueError, match="holds no packed codes"):
        PackedCodes.load(tmp_path / "file")


def test_only_files_are_opened(tmp_path):
    """Folders, devices and pipes are refused, not waited for."""
    places = [tmp_path, Path(os.devnull)]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        places.append(tmp_path / "pipe")
    for place in places:
        with pytest.raises(ValueError, match="is no regular file: name one"):
            PackedCodes.load(place)
        assert not is_code_file(place)
        with pytest.raises(ValueError, match="is a folder or a device: name a file"):
            PackedCodes.from_codes([[1]]).save(place)
    with pytest.raises(FileNotFoundError):
        PackedCodes.load(tmp_path / "none")
    with pytest.raises(TypeError):
        PackedCodes.load(0)  # no number of an open file


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
@pytest.mark.parametrize("writable", [False, True])
def test_a_pipe_put_in_place_of_a_file(path, writable, monkeypatch):
    """It is refused, not waited for, though it was a file when it was looked at."""
    isdir = os.path.isdir

    def look_and_change(name):
        answer = isdir(name)
        os.remove(path)
        os.mkfifo(path)
        return answer

    monkeypatch.setattr(os.path, "isdir", look_and_change)
    with pytest.raises(ValueError, match="is no regular file: name one"):
        open_regular(path, writable=writable)


@pytest.mark.parametrize("writable", [False, True])
def test_opened_files_are_read_and_written(path, writable):
    """They know their name, and are only written to if that was asked for."""
    with open_regular(path, writable=writable) as file:
        assert file.name == str(path)
        assert file.read() == path.read_bytes()
        assert file.writable() == writable
        file.seek(0)
        if writable:
            file.write(b"\x93numpy")
    assert path.read_bytes().startswith(b"\x93numpy" if writable else b"\x93NUMPY")


def test_a_file_that_shrinks_while_it_is_read(path, monkeypatch):
    """It is refused as damaged."""
    found = os.stat(path)
    path.write_bytes(path.read_bytes()[:-1])
    monkeypatch.setattr(os, "fstat", lambda _: found)
    with pytest.raises(ValueError, match="it became shorter while it was read"):
        PackedCodes.load(path)


@pytest.mark.parametrize("n_bits", [1, 31, 64])
@pytest.mark.parametrize("n_samples", [0, 1, 300])
def test_created_files_are_zero(n_samples, n_bits, tmp_path):
    """A file to be filled in loads at any time, and replaces a former one."""
    path = tmp_path / "codes.npy"
    path.write_text("former")
    codes = PackedCodes.create(path, n_samples, n_bits)
    assert codes.shape == (n_samples, n_bits)
    assert not codes.packed.any()
    codes.packed[...] = 1
    assert PackedCodes.load(path) == codes
    assert stamp(path) == "--------"
    assert os.listdir(tmp_path) == ["codes.npy"]


def test_encode_into_a_created_file(digits, tmp_path):
    """What `encode` writes there is a gallery, and a complete file once saved."""
    X = digits[0]
    hasher = ITQ(20, random_state=0).fit(X)
    path = tmp_path / "codes.npy"
    codes = PackedCodes.create(path, len(X), n_bits=20)
    assert hasher.encode(X, out=codes.packed) == hasher.encode(X)
    gallery = PackedCodes.load(path, "r")
    found = HammingRetriever().fit(gallery).kneighbors(codes[:3], 2)
    expected = HammingRetriever().fit(hasher.encode(X)).kneighbors(codes[:3], 2)
    assert_array_equal(found, expected)
    codes.save(path)
    assert PackedCodes.load(path, verify=True) == hasher.encode(X)


@pytest.mark.parametrize(
    ("n_samples", "n_bits", "error", "message"),
    [
        (-1, 8, ValueError, r"n_samples must be in \[0, 2\*\*48\); got -1"),
        (2**48, 8, ValueError, "n_samples must be in"),
        (1.0, 8, TypeError, "n_samples must be an integer; got 1.0"),
        (True, 8, TypeError, "n_samples must be an integer; got True"),
        (1, 0, ValueError, "n_bits must be in"),
        (1, "8", TypeError, "n_bits must be an integer"),
    ],
)
def test_create_refuses(n_samples, n_bits, error, message, tmp_path):
    """Sizes that no file has are refused before one is made."""
    with pytest.raises(error, match=message):
        PackedCodes.create(tmp_path / "codes.npy", n_samples, n_bits)
    assert os.listdir(tmp_path) == []


def test_created_files_are_not_read(tmp_path, monkeypatch):
    """Zeros have no padding bits set: a long file is there at once."""
    monkeypatch.setattr(code_files, "_check_codes", None)
    assert PackedCodes.create(tmp_path / "codes.npy", 10**6, 31).shape == (10**6, 31)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="not on this system")
def test_create_needs_room(path, codes, monkeypatch):
    """A full disk is an error at once, and the former file stays."""

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="no space left"):
        PackedCodes.create(path, 10, 8)
    assert os.listdir(path.parent) == ["codes.npy"]
    assert PackedCodes.load(path) == codes


def test_saves_at_the_same_time(tmp_path, codes):
    """Threads that save to one file do not mix: the last one to finish counts."""
    parts = [codes[100 * i :] for i in range(4)]
    threads = [
        threading.Thread(target=part.save, args=(tmp_path / "codes.npy",))
        for part in parts * 4
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert PackedCodes.load(tmp_path / "codes.npy") in parts
    assert os.listdir(tmp_path) == ["codes.npy"]


def test_written_whole_keeps_suffix_and_name(tmp_path):
    """The part has the suffix that some writers add; it is gone after Ctrl-C."""
    with written_whole(tmp_path / "a.npz") as part:
        np.savez(part, a=1)
    assert os.listdir(tmp_path) == ["a.npz"]
    with suppress(KeyboardInterrupt), written_whole(tmp_path / "a.npz") as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == ["a.npz"]


@pytest.mark.parametrize("suffix", ["", ".npy", "." + "x" * 200])
def test_names_of_any_legal_length(suffix, codes, tmp_path):
    """What the file system takes as a name can be written to."""
    path = tmp_path / ("n" * (255 - len(suffix)) + suffix)
    try:
        path.touch()
    except OSError:
        pytest.skip("the file system takes shorter names only")
    codes.save(path)
    assert PackedCodes.load(path) == codes
    assert PackedCodes.create(path, 3, 8).shape == (3, 8)


def test_missing_folders_are_told_by_the_name_given(codes, tmp_path, monkeypatch):
    """Not by that of the part, which nobody knows; a file is no folder."""
    monkeypatch.chdir(tmp_path)
    for path in ("none/codes.npy", Path("none", "codes.npy")):
        with pytest.raises(FileNotFoundError, match=r"'none.codes\.npy'$") as error:
            codes.save(path)
        assert error.value.filename == str(path)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"'file/codes\.npy'"):
        codes.save("file/codes.npy")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links(codes, tmp_path):
    """The file behind a link is written, the link stays; a link to itself is told."""
    link, loop = tmp_path / "link.npy", tmp_path / "loop.npy"
    link.symlink_to("codes.npy")
    loop.symlink_to("loop.npy")
    for _ in range(2):  # dangling at first
        codes.save(link)
        assert link.is_symlink()
        assert PackedCodes.load(tmp_path / "codes.npy") == codes
    for call in (codes.save, PackedCodes.load, lambda p: PackedCodes.create(p, 1, 8)):
        with pytest.raises(OSError, match=r"loop\.npy'$"):
            call(loop)
    assert loop.is_symlink()


def test_the_part_is_on_the_disk_before_it_is_in_place(path, codes, monkeypatch):
    """A computer that stops leaves the former file or the new one."""
    former, order = path.read_bytes(), []
    fsync, replace = os.fsync, os.replace

    def synced(number):
        assert path.read_bytes() == former
        order.append("fsync")
        fsync(number)

    def replaced(*names):
        order.append("replace")
        replace(*names)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    codes[:9].save(path)
    assert order == ["fsync", "replace"]


@pytest.mark.skipif(os.name == "nt", reason="cannot replace such a file there")
def test_the_new_file_has_the_rights_of_the_former(path, codes):
    """One that must not be written to can be replaced, as its folder allows it."""
    path.chmod(0o440)
    codes[:9].save(path)
    assert path.stat().st_mode & 0o777 == 0o440
    assert PackedCodes.load(path) == codes[:9]


def test_stream_is_written_as_the_whole(path, codes, tmp_path):
    """Codes written piece by piece make the file that `save` makes."""
    with open(tmp_path / "stream.npy", "wb") as file:
        writer = CodesWriter(file, 31)
        for start in range(0, 700, 99):
            writer.append(codes.packed[start : start + 99])
        writer.finish()
    assert (tmp_path / "stream.npy").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("mmap_mode", ["r", "r+"])
def test_maps_know_their_file(path, mmap_mode):
    """Processes of joblib are sent a map's file name, and where the codes begin."""
    packed = PackedCodes.load(path, mmap_mode).packed
    assert packed.filename == str(path)
    assert path.read_bytes()[packed.offset :] == packed.tobytes()


def test_command_line_tells_damage_and_newer_files(path, tmp_path, capsys):
    """The reason is told; for files of something else, how to make one of codes."""
    shutil.copy(path, tmp_path / "queries.npy")
    content = path.read_bytes()
    changed = {
        "is damaged: it should have": content[:-1],
        "in format 7 by a newer": content.replace(b"sklhash1", b"sklhash7"),
        "holds no codes: make them by sklhash encode": content[1:],
    }
    for message, bad in changed.items():
        path.write_bytes(bad)
        assert main(["search", str(tmp_path / "queries.npy"), "--codes", str(path)])
        assert message in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_fuzzing():
    """Thousands of damaged and forged files raise ValueError, or hold codes."""
    program = Path(__file__).parent / "fuzz_code_files.py"
    run = subprocess.run(
        [sys.executable, "-W", "error", program, "--files=3000", "--limit-mb=100"],
        env={**os.environ, "TMPDIR": "/dev/shm"},  # in memory, if that is there
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert "failures: 0; code was run: False" in run.stdout
