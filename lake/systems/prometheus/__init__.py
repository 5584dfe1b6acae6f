"""Prometheus: everything that only this system has.

config      sections and keys of lake.toml
system      the protocol's methods
reading     a day as Arrow record batches, and the source's own count
snapshot    raw files, and what a server needs to come back on them
replay      partitions into a running server
restored    a server on restored files
rehearsal   questions for a restored server and the lake
rollup      what a day adds up to by hour
discovery   what `lake init` finds
diagnosis   what `lake doctor` checks

Belongs here: Prometheus's formats, protocols and habits. Does not: use cases (lake).
"""
