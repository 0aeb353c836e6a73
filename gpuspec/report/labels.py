"""The report's own words, in English and from the gettext catalogues."""

from gpuspec.views.language import check_language, languages, translator

__all__ = ["check_language", "languages", "translator"]
