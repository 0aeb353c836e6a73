"""Many questions at once: read from files, decided in parallel, kept by a hash of what they ask.

`questions` reads what is asked, `work` answers one of them, `run` answers all that lack an answer,
`store` keeps files here or in an object store, `watch` says which answers changed and why.
"""
