"""lake.toml and the environment as checked settings.

settings    the sections, and reading them
sections    what sections are made of; each system adds its own (`config`)
systems     the systems by name
datasets    `[[dataset]]`
rollups     SQL files of rollups
alerts, bucket, incident, privacy, retention, ttl   the section of that name
overrides   environment variables, and secrets refused in the file
explain     what a wrong key or value is called in an error

Belongs here: configuration. Does not: opening what is configured.
"""
