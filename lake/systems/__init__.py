"""The systems: a folder each, with rooms of the same names.

Belongs here: what only one system knows, and what all of them have to offer.
Does not: use cases, which know no system by name.
"""
