"""Settings of Sphinx, which builds the documentation site: `make docs`.

The pages are the Markdown files of this folder, which read well on their own, too. The
pages of the API and of the gallery are made from docstrings and from examples/gallery.
"""

import importlib
import inspect
import re
import sys
import warnings
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import skmhe

project = "skmhe"
author = "the developers of skmhe"
project_copyright = author
version = release = skmhe.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "gallery/*.ipynb"]
suppress_warnings = ["config.cache"]  # of functions in this file, which is read anew
nitpicky = False
# Names in single backticks are those of parameters mostly, as in scikit-learn.
default_role = "literal"

# Markdown
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 4

# The API
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections tell the types
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"

SECTION = re.compile(r"^-{3,}$", re.MULTILINE)


def own_methods(name):
    """Return the public methods of a class that this package defines.

    Those of torch.nn.Module, of which each head would list fifty, are left out, and
    those that parts of the package ask each other, whose docstrings have no sections.
    """
    module, _, class_name = name.rpartition(".")
    owner = getattr(importlib.import_module(module), class_name)
    found = {}
    for base in reversed(owner.__mro__):
        if base.__module__.startswith("skmhe"):
            found |= {
                key: None
                for key in vars(base)
                if key[0] != "_"
                and inspect.isroutine(getattr(owner, key))
                and SECTION.search(inspect.getdoc(getattr(owner, key)) or "")
                and not key.endswith("_request")  # made by scikit-learn
            }
    return sorted(found)


autosummary_context = {"own_methods": own_methods}


# The gallery
def warnings_are_errors(gallery_conf, name, when):
    """Let a warning stop an example, as in the tests, instead of being on its page."""
    warnings.simplefilter("error" if when == "before" else "ignore")


sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "doc_module": ("skmhe",),
    "backreferences_dir": "generated/backreferences",
    "abort_on_example_error": True,
    "reset_modules": ("matplotlib", warnings_are_errors),
    "reset_modules_order": "both",
    "show_memory": False,
    "write_computation_times": False,  # a page with scripts of other sites
    "plot_gallery": "True",
    "capture_repr": (),
}

# The looks
html_theme = "pydata_sphinx_theme"
html_title = f"skmhe {version}"
# What the HTML within figures.md shows, of which Sphinx does not know.
html_extra_path = ["rivals.png", "rivals-dark.png"]
html_static_path = ["_static"]
html_css_files = ["site.css"]
# Pages without other ones of their section need no list of these.
html_sidebars = {page: [] for page in ("get_started", "user_guide", "genindex")}
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
}


def show_formula(translator, node):
    """Write a formula as MathML, which browsers show without another site's script."""
    inline = isinstance(node, nodes.math)
    formula = tex2mathml(node.astext(), as_block=not inline)
    # Wide formulas scroll by themselves, not the page.
    block = f'<div class="formula">{formula}</div>'
    translator.body.append(formula if inline else block)
    raise nodes.SkipNode


def setup(app):
    """Register how formulas are written."""
    writers = (show_formula, None)
    app.add_html_math_renderer("mathml", writers, writers)
