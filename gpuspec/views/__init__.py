"""What topics share: display, charts, words, languages, the panel."""

TEXT_IN_PICTURES = "GPUSPEC_TEXT_IN_PICTURES"
"""Variable that keeps text of pictures as text, for a PDF, which brings the faces.

Elsewhere text becomes outlines, so that a picture looks alike on machines with other fonts.
"""
LANGUAGE_OF_RUN = "GPUSPEC_LANG"
"""Variable that says in which language a run speaks, before ``LC_ALL`` and ``LANG`` do."""
