"""How Sphinx builds the site: `make docs`."""

import os
import pathlib
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

from keras_kuramoto._version import __version__  # noqa: E402

project = "keras-kuramoto"
copyright = "the authors of keras-kuramoto, Apache-2.0"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "api_pages",
    "public_names",
    "solver_page",
]
exclude_patterns = ["_build", "_templates", "gallery/*.ipynb", "gallery/*.md5", "sg_execution_times.rst"]
templates_path = ["_templates"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# What stands in single backticks in a docstring is a link if it is a name of the library, and code if not.
default_role = "py:obj"
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autosummary_generate = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Call arguments", "params_style")]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1,
    "abort_on_example_error": True,
}

html_theme = "furo"
html_title = "keras-kuramoto"
html_static_path = ["_static"]
html_css_files = ["solver/solver.css"]
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_sourcelink = False
