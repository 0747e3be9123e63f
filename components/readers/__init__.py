"""Readers of text pairs, one file for each format, behind `read_pairs`.

Whatever the format, every row becomes one pair or one rejection with its reason
and place, or the file is refused with an error that names it. Files are read as
streams, and no line is ever held that is too long to be kept.
"""
