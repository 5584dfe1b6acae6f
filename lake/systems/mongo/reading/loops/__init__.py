"""The compiled loops over BSON: no Python object is made of a document in here.

Belongs here: what numba compiles. Does not: anything that another module can do in Python.
Importing these takes as long as importing numba: only what decodes documents may.
"""
