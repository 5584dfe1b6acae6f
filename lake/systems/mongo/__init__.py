"""MongoDB: everything that only this system has.

reading     a day as Arrow record batches, and the source's own count
snapshot    raw files, and what a server needs to come back on them
replay      partitions into a running server
rehearsal   questions for a restored server and the lake
discovery   what `lake init` finds
diagnosis   what `lake doctor` checks

Belongs here: MongoDB's formats, protocols and habits. Does not: use cases (lake).
"""
