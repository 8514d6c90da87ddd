"""How the pages are built: `sphinx-build -W -n docs <folder>`, or `tox -e docs`."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from sphinx.ext.napoleon.docstring import GoogleDocstring

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

VERSION = import_module("penstock._version").VERSION  # this tree's, not an installed one's

project = "penstock"
author = "the penstock developers"
copyright = "2026, the penstock developers"
version = release = VERSION

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "changes", "seeds"]
html_theme = "furo"
html_title = f"penstock {VERSION}"
myst_heading_anchors = 3

nitpicky = True
default_role = "code"  # single backticks in docstrings are code, as in Markdown
autoclass_content = "class"
autodoc_class_signature = "separated"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

# Other projects' inventories are on the network, where a build must not go: their names stay plain.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!penstock).*"),  # names of other projects, and short ones in signatures
    (r"py:.*", r"penstock\.[\w.]+\.(Json|ItemT|FrameT\w*)"),  # aliases within a module
    (r"py:.*", r"penstock\.[\w.]+\._\w+(\.\w+)?"),  # private bases, and private modules
    # What stands behind the face of a package, which alone is documented.
    (
        r"py:.*",
        r"penstock\.(bench|decoders|encoders|interfaces|pipeline|simulator|testing)\.[a-z_]+\.\w+",
    ),
    (r"py:.*", r"penstock\.conversations\.(numbered|sending|still)\.\w+"),
]
suppress_warnings = ["ref.python"]  # two Deployments, ours and the shim's, in short signatures

# Napoleon takes what stands before a colon in an attribute's docstring for its type; ours have one.
GoogleDocstring._parse_attribute_docstring = GoogleDocstring._consume_to_end
