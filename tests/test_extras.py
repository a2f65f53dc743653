"""Optional packages: what is said when one, or a part of one, is missing."""

import json.decoder

import pytest

from sklhash._extras import require


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write a package of one module, and import nothing else of that name."""

    def write(name, code):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
        (tmp_path / name / "part.py").write_text(code)

    monkeypatch.syspath_prepend(tmp_path)
    return write


def test_installed():
    """A module is given as it is, and a submodule as itself."""
    assert require("json", "extra", "this") is json
    assert require("json.decoder", "extra", "this") is json.decoder


@pytest.mark.parametrize("module", ["no_such_package", "no_such_package.part"])
def test_missing_package(module):
    """The error names what needs the package, and how to install it."""
    message = 'to_this needs no_such_package: pip install "sklhash\\[extra\\]"'
    with pytest.raises(ImportError, match=message) as caught:
        require(module, "extra", "to_this")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_missing_part(package):
    """A package without the module, as another version, is to be installed again."""
    package("package_without_parts", "")
    with pytest.raises(ImportError, match=r"pip install .sklhash\[extra\]"):
        require("package_without_parts.other", "extra", "to_this")


def test_package_that_misses_something(package):
    """What an installed package misses itself is named, not the package."""
    package("package_that_misses", "import no_such_package")
    with pytest.raises(ModuleNotFoundError, match="'no_such_package'") as caught:
        require("package_that_misses.part", "extra", "to_this")
    assert "sklhash" not in str(caught.value)
    assert caught.value.name == "no_such_package"


def test_package_that_is_broken(package):
    """Errors of another kind stay, too."""
    package("package_that_is_broken", "from json import no_such_name")
    with pytest.raises(ImportError, match="cannot import name 'no_such_name'"):
        require("package_that_is_broken.part", "extra", "to_this")
