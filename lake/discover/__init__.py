"""What servers hold, as a lake.toml that exports it.

mongo, prometheus, loki   look at one server each
found                     what they tell
lake_toml                 how it is written down

Belongs here: looking at servers that nobody has described yet.
Does not: reading their data (lake.systems), the shell's options (lake.cli).
"""

from lake.discover.lake_toml import LakeToml
from lake.discover.servers import look
from lake.systems.found import FoundSource, FoundTable

__all__ = ["FoundSource", "FoundTable", "LakeToml", "look"]
