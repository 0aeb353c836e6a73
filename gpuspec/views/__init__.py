"""What topics share: display, charts, words, languages, the panel."""

TEXT_IN_PICTURES = "GPUSPEC_TEXT_IN_PICTURES"
"""Variable that keeps text of pictures as text, for a PDF, which brings the faces.

Elsewhere text becomes outlines, so that a picture looks alike on machines with other fonts.
"""

PICTURES_AS_PNG = "GPUSPEC_PICTURES_AS_PNG"
"""Variable that puts a PNG beside each picture of a notebook.

A reader that does not trust a notebook, such as JupyterLab at first or a site that shows it,
draws no SVG. Notebooks are stored with both (`tools/store_notebooks.py`).
"""

LANGUAGE_OF_RUN = "GPUSPEC_LANG"
"""Variable that says in which language a run speaks, before ``LC_ALL`` and ``LANG`` do."""
