"""Column rules: what is stored in place of a source's values.

rules      one rule: its path, as written in lake.toml and in a manifest
applying   a dataset's rules with their key: values, texts, label sets
messages   errors of a dataset with rules, without the values that they quote

Belongs here: what a rule does to one value. Does not: BSON, log lines, series (each system's
`reading`), which datasets have rules (lake.config).
"""
