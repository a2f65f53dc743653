"""Configuration of the site: ``sphinx-build -W -n -b html docs docs/_build/html``."""

import os
import re
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

import sklhash
from sklhash.cli import main

sys.path.insert(0, os.path.dirname(__file__))  # gallery.py

project = "sklhash"
author = "The sklhash developers"
copyright = author
version = release = sklhash.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
default_role = "literal"  # docstrings write `n_bits` for ``n_bits``

# Links to other projects' pages need their inventories, hence a network: they are made
# only on demand. What belongs to other projects is not checked, what is ours always is.
nitpicky = True
others = (
    "array_api_strict|accelerate|dask|faiss|joblib|matplotlib|narwhals|numba|numpy|np|"
    "pandas|pl|polars|PIL|pyarrow|rich|scipy|skops|skorch|sklearn|torch|nn"
)
python = "bool|callable|dict|float|functools|int|iterable|list|object|os|str|tuple"
nitpick_ignore_regex = [
    (r"py:.*", rf"({others})(\..*)?"),
    (r"py:.*", rf"({python})(\..*)?|[A-Z]\w*(Error|Warning)"),
    # Labels of scikit-learn's pages, in the docstrings of methods inherited from it.
    (r"std:ref", r"\w+_transform|metadata_routing"),
]
if os.environ.get("SKLHASH_DOCS_INTERSPHINX") == "1":
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "matplotlib": ("https://matplotlib.org/stable", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "python": ("https://docs.python.org/3", None),
        "scipy": ("https://docs.scipy.org/doc/scipy", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "skorch": ("https://skorch.readthedocs.io/en/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
    }

# Reference: a page for each public name, by the templates in _templates/autosummary.
autosummary_generate = True
autodoc_typehints = "none"  # docstrings tell types, and shapes and units with them
toc_object_entries_show_parents = "hide"
autodoc_default_options = {"member-order": "bysource"}
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Each example is run, and asserts what it claims.
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "abort_on_example_error": True,
    "within_subsection_order": "gallery.QuickstartFirst",
    "backreferences_dir": "api/generated",
    "doc_module": ("sklhash",),
    "reference_url": {"sklhash": None},
    "image_srcset": ["2x"],
    "remove_config_comments": True,
    "show_signature": False,
    "download_all_examples": False,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "sklhash"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_favicon = "_static/favicon.svg"
html_copy_source = html_show_sourcelink = False
html_sidebars = {
    page: [] for page in ("index", "start", "glossary", "references", "changelog")
}
html_theme_options = {
    "logo": {
        "text": "sklhash",
        "alt_text": "sklhash, to the front page",
        "image_light": "_static/logo-light.svg",
        "image_dark": "_static/logo-dark.svg",
    },
    "navbar_align": "left",
    "header_links_before_dropdown": 5,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "secondary_sidebar_items": ["page-toc"],
}


def write_help(app):
    """Keep what the commands say about themselves, for api/cli.rst."""
    os.environ |= {"COLUMNS": "80", "NO_COLOR": "1"}
    folder = Path(app.srcdir, "api/generated")
    folder.mkdir(parents=True, exist_ok=True)
    for command in ("compare", "encode", "search"):
        text = StringIO()
        with redirect_stdout(text):
            main([command, "--help"])
        (folder / f"{command}.txt").write_text(text.getvalue(), encoding="utf-8")


def link_examples(app, doctree):
    """Let a link to an example's file, which GitHub shows, lead to its page here."""
    for link in list(doctree.findall(addnodes.download_reference)):
        example = re.search(r"examples/(plot_\w+)\.py$", link["reftarget"])
        if example:
            page = addnodes.pending_xref(
                "",
                nodes.inline("", "", *link.children, classes=["doc"]),
                refdomain="std",
                reftype="doc",
                reftarget=f"/auto_examples/{example[1]}",
                refdoc=app.env.docname,
                refexplicit=True,
                refwarn=True,
            )
            link.replace_self(page)


def strip_blocks(app, doctree):
    """Drop the blank line by which doctests in Markdown tell output from the fence."""
    for block in doctree.findall(nodes.literal_block):
        if block.rawsource == block.astext():
            block.rawsource = block.rawsource.rstrip()
            block[:] = [nodes.Text(block.rawsource)]


def name_example(app, env, node, text):
    """Name an example of scikit-learn, in inherited docstrings, in words."""
    if node["reftarget"].startswith("sphx_glr_auto_examples_miscellaneous"):
        return nodes.emphasis(text="scikit-learn's gallery")
    return None


def skip_metadata_requests(app, what, name, member, skip, options):
    """Leave out ``set_fit_request`` and the like, which scikit-learn generates."""
    generated = name.endswith("_request") and "sklearn" in member.__module__
    return True if generated else skip


def setup(app):
    """Connect the functions above."""
    app.connect("builder-inited", write_help)
    app.connect("doctree-read", link_examples)
    app.connect("doctree-read", strip_blocks)
    app.connect("missing-reference", name_example, priority=900)  # after intersphinx
    app.connect("autodoc-skip-member", skip_metadata_requests)
