"""A package for each notebook: what is asked, the answer, its pictures, words and panel."""
