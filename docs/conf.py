"""The documents as a site: `make docs` writes it to build/docs."""

project = "The presence lab"
author = "The presence lab's authors"
copyright = author  # noqa: A001
extensions = ["myst_parser"]
html_theme = "furo"
html_title = project
html_show_sphinx = False
exclude_patterns = ["examples"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
nitpicky = True
