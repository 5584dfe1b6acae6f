"""The format of the lake: one Parquet object and one JSON manifest per dataset and UTC day.

layout       keys of objects
table        a day as record batches on its way into the lake, and its schema as JSON
parquet      batches into an object
fingerprint  a hash of rows, independent of order and encoding
manifest     the JSON manifest
ledger       which manifest of a partition is valid
replacement  object and manifest replaced as one
content      the rows of a partition, checked against its manifest
read_back    an object without its manifest
definition   whether a manifest has the dataset's present definition
copying      one lake's objects into another

Belongs here: what is stored, and reading and writing it. Does not: what a source returns, what
may be exported.
"""
