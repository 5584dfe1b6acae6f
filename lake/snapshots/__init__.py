"""Raw snapshots: what the snapshots of all systems share.

manifest    the JSON claim about a snapshot; taken: what a system adds to it
collecting  files into the store, with hashing, known (what is there already) and journal
reading     server_files, disk_state: the directory of a running server
whole_days  which days a snapshot holds whole; holding: the snapshot that holds a day
arriving    files put together again; standalone: the script that restores without this package

Belongs here: a snapshot's manifest, and the way of its files into the store and back.
Does not: the order of a whole snapshot or restore (lake.snapshot, lake.restore).
"""
