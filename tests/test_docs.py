"""The pages of the site: nothing public is missing, and links lead somewhere."""

import doctest
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GENERATED = {"_build", "auto_examples", "generated"}
PACKAGES = [
    "sklhash",
    "sklhash.cli",
    "sklhash.deep.alexnet",
    "sklhash.deep.attention",
    "sklhash.deep.losses",
    "sklhash.deep.modules",
    "sklhash.deep.similarity",
    "sklhash.displays",
    "sklhash.hamming",
    "sklhash.metrics",
    "sklhash.model_selection",
    "sklhash.testing",
]


def public_names(package):
    """Names of `__all__`, or the classes and functions that a module defines."""
    module = import_module(package)
    if hasattr(module, "__all__"):
        return module.__all__
    return [
        name
        for name, item in vars(module).items()
        if getattr(item, "__module__", None) == package and not name.startswith("_")
    ]


PUBLIC = [(package, name) for package in PACKAGES for name in public_names(package)]


def documented_names():
    """Names with a page of their own, and names described on a page of the API."""
    pages, entries = set(), set()
    for path in DOCS.glob("api/*.rst"):
        module, listing = None, False
        for line in path.read_text("utf-8").splitlines():
            if match := re.match(r"\.\. (?:current)?module:: (\S+)", line):
                module = match[1]
            elif match := re.match(r"\.\. (?:py:data|autofunction):: (\w+)", line):
                entries.add((module, match[1]))
            if line and not line.startswith(" "):
                listing = line.startswith(".. autosummary::")
            elif listing and re.fullmatch(r"   \w+", line):
                pages.add((module, line.strip()))
    return pages, entries


def pages_of_toctrees(path):
    """Pages that the toctrees of a page name, relative to docs."""
    text = path.read_text("utf-8")
    blocks = re.findall(r"^```\{toctree\}\n(.*?)^```", text, re.M | re.S)
    blocks += re.findall(r"^\.\. toctree::\n((?:\n|   .*\n?)+)", text, re.M)
    entries = [
        line.strip()
        for block in blocks
        for line in block.splitlines()
        if line.strip() and not line.strip().startswith(":")
    ]
    for entry in entries:
        name = re.sub(r"^.*<(.+)>$", r"\1", entry)
        folder = DOCS if name.startswith("/") else path.parent
        yield (folder / name.lstrip("/")).resolve().relative_to(DOCS).as_posix()


def written_pages():
    """Pages that are written by hand, as paths."""
    return [
        path
        for path in sorted([*DOCS.rglob("*.md"), *DOCS.rglob("*.rst")])
        if not GENERATED & set(path.relative_to(DOCS).parts)
        and "_templates" not in path.parts
    ]


def test_every_public_name_has_a_place_in_the_reference():
    """What can be imported is documented, and what is documented can be imported."""
    pages, entries = documented_names()
    assert set(PUBLIC) - pages - entries == set()
    for module, name in pages | entries:
        assert hasattr(import_module(module), name)
    assert pages - set(PUBLIC) == set()


@pytest.mark.parametrize(
    ("package", "name"), PUBLIC, ids=[".".join(pair) for pair in PUBLIC]
)
def test_every_public_name_has_an_example(package, name):
    """The docstring has Examples; a constant's stand on the page that describes it."""
    item = getattr(import_module(package), name)
    if inspect.isclass(item) or inspect.isfunction(item):
        assert "\nExamples\n--------\n" in inspect.getdoc(item)
        assert ">>> " in inspect.getdoc(item)
    else:
        [page] = [
            text
            for path in DOCS.glob("api/*.rst")
            if f".. module:: {package}\n" in (text := path.read_text("utf-8"))
        ]
        entry = page.split(f".. py:data:: {name}\n")[1].split("\n.. ")[0]
        assert f">>> from {package} import" in entry


@pytest.mark.parametrize("path", sorted(DOCS.glob("api/*.rst")), ids=lambda p: p.stem)
def test_examples_of_the_reference_run(path):
    """Examples of constants, which have no docstrings, give what the page says."""
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, _ = doctest.testfile(str(path), module_relative=False, optionflags=flags)
    assert not failed


def test_every_page_is_reached():
    """From the front page, toctrees lead to every page, and to no page that is not."""
    there = {
        path.relative_to(DOCS).with_suffix("").as_posix(): path
        for path in written_pages()
    }
    seen, to_read = set(), ["index"]
    while to_read:
        page = to_read.pop()
        if page not in seen and page != "auto_examples/index":  # the gallery
            seen.add(page)
            to_read += pages_of_toctrees(there[page])
    assert seen == set(there)


def test_every_example_is_in_the_gallery():
    """Scripts of the gallery have names that it runs and a title that it shows."""
    for path in ROOT.glob("examples/*.py"):
        assert path.name.startswith("plot_")
        text = path.read_text("utf-8")
        over, title, under = text.removeprefix('"""\n').splitlines()[:3]
        assert over == under == len(over) * "="
        assert len(over) >= len(title) > 0
    assert (ROOT / "examples/GALLERY_HEADER.rst").exists()


def link_targets(path):
    """Files that a page links to, without anchors and other sites."""
    code = r"^```.*?^```|`[^`\n]+`"
    text = re.sub(code, "", path.read_text("utf-8"), flags=re.M | re.S)
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    return [link for link in links if "://" not in link]


@pytest.mark.parametrize(
    "path",
    [ROOT / "README.md", ROOT / "CHANGELOG.md", *written_pages()],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_links_lead_to_files(path):
    """Relative links of a page lead to files that exist; some are made by the build."""
    for link in link_targets(path):
        target = (path.parent / link).resolve()
        assert target.exists() or link.endswith("auto_examples/index.rst"), link
