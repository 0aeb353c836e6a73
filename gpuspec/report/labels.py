"""The report's own words, in English and from the gettext catalogues."""

from gpuspec.language import check_language, languages, translator

__all__ = ["check_language", "languages", "translator"]
