"""MongoDB's raw files: taken, and made ready for a server.

Belongs here: what a backup of MongoDB consists of. Does not: where objects go (lake.snapshots).
"""
