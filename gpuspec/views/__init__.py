"""What topics share: display, charts, words, languages, the panel."""
