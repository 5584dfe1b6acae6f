"""The compiled loops over BSON: no Python object is made of a document in here.

value and numbers look at one value, scan and paths at a batch's documents, settle at its entries;
fill writes Arrow's buffers, locate finds and reorders documents.

Belongs here: what numba compiles. Does not: anything that another module can do in Python.
Importing these takes as long as importing numba: only what decodes documents may.
"""
