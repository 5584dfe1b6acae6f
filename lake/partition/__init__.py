"""The format of the lake: one Parquet object and one JSON manifest per dataset and UTC day.

layout       keys of objects
table        a day as record batches on its way into the lake, and its schema as JSON
parquet      batches into an object
fingerprint  a hash of rows, independent of order and encoding; fingerprint_loops compute it
manifest     the JSON manifest; rollups: that of a rollup; record: what both share
ledger       which manifest of a partition is valid
replacement  object and manifest replaced as one
content      the rows of a partition, checked against its manifest
read_back    an object without its manifest
batches      a file's rows in batches of bounded size
definition   whether a manifest has the dataset's present definition
copying      one lake's objects into another

Belongs here: what is stored, and reading and writing it. Does not: what a source returns, what
may be exported.
"""
