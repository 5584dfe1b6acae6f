"""The demo: a made-up service, its history in real servers.

Belongs here: what the service did, how each system recorded it, loading it.
Does not: exporting it.
"""
