"""What every other part uses.

clock       the current time, in one place
day         UTC days
errors      the exceptions and their messages
causes      the reason in an exception's chain
tls         errors of TLS
proxies     HTTP proxies that the environment names
redaction   secrets kept out of messages
printable   texts without control characters
sizes       bytes and counts as text
progress    how far a long task is
resources   files of the package
cache       the user's cache folder
headers     headers of SQL files
field_path  dotted paths of fields
members     stored JSON objects as dataclasses
protobuf    varints and fields
machine     memory and processors
faults      signals at points of writing, for the tests

Belongs here: modules that import nothing of `lake` but each other. Does not: configuration
(lake.config), stored objects (lake.store, lake.partition), processes (lake.process).
"""
