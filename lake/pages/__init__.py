"""HTML pages of one file that need nothing else: no script, no font, no other file.

document   a page around parts, tables, notes
bars       stacked bars as an SVG
style.css  their look: light and dark, on a desk, on a phone and in print

Belongs here: what pages have in common. Does not: what a page is about.
"""

from lake.pages.bars import stacked_bars
from lake.pages.document import document, notes, section, table

__all__ = ["document", "notes", "section", "stacked_bars", "table"]
