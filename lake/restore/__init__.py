"""Restores a snapshot to disk, and runs a server on it.

files       objects fetched, checked, laid out
server      a server on the files, compared with the manifest
recovering  both for a moment, in a temporary directory
directory   one process at a time uses a directory
compose     compose.yaml for machines with Docker
grafana     the server as a data source of Grafana

Belongs here: bringing snapshots back. Does not: taking them (lake.snapshot).
"""
