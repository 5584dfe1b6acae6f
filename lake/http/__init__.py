"""HTTP as all sources speak it: sessions, retries, failures as errors.

Belongs here: the client, its answers. Does not: any system's API.
"""
