"""What servers hold, as a lake.toml that exports it.

mongo, prometheus, loki   look at one server each
discovered                what they hold
lake_toml                 how it is written down

Belongs here: inspecting servers without a configuration yet.
Does not: reading their data (lake.systems), the shell's options (lake.cli).
"""

from lake.discover.lake_toml import LakeToml
from lake.discover.servers import look
from lake.systems.discovered import DiscoveredSource, DiscoveredTable

__all__ = ["DiscoveredSource", "DiscoveredTable", "LakeToml", "look"]
