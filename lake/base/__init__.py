"""What every other part uses.

clock      the current time, in one place
day        UTC days
errors     the exceptions and their messages
redaction  secrets kept out of messages
resources  files of the package
faults     signals at points of writing, for the tests
tls        errors of TLS
protobuf   varints and fields
causes     the reason in an exception's chain
progress   how far a long task is
sizes      bytes and counts as text
printable  texts without control characters

Belongs here: modules that import nothing of `lake` but each other. Does not: configuration
(lake.config), stored objects (lake.store, lake.partition), processes (lake.process).
"""
