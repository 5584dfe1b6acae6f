"""The review's page in the lake, and its audit entry.

Belongs here: keys, the order of writes. Does not: content.

The objects come before the entry: an entry names a page that is there. Neither is ever replaced.
"""

from __future__ import annotations

import hashlib
import json

from lake import audit
from lake.review.gathering import ACTION
from lake.review.review import Review
from lake.store import Store

_PREFIX = "reports/review/"


def record(store: Store, review: Review, page: str, why: str) -> audit.Entry:
    """Writes page and JSON, then the entry by which the next review begins.

    Raises what the store raises, and BadData where the audit log can't be continued.
    """
    name = f"{_PREFIX}{review.at:%Y-%m-%dT%H%M%S}Z"
    html, text = page.encode(), json.dumps(review.to_json(), indent=1, ensure_ascii=False).encode()
    store.write(f"{name}.html", html)
    store.write(f"{name}.json", text)
    return audit.append(
        store,
        ACTION,
        "",
        why,
        details={
            "page": f"{name}.html",
            "page_sha256": hashlib.sha256(html).hexdigest(),
            "json_sha256": hashlib.sha256(text).hexdigest(),
            "open_points": review.open_points(),
        },
        proof={"entries": review.chain.entries, "problems": list(review.chain.problems)},
    )
