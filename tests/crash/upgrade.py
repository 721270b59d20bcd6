"""An upgrade from the previous release, and the way back, with live traffic.

    python -m tests.crash.upgrade --seconds 60 --rate 60

The previous release runs; the migrations of this one are applied under it; then everything is
restarted as this release, and as the previous one again, in turn. Exits with 1 where a request
failed, or a message or report was lost or doubled, or where the history lacks the previous release.
"""

import sys

from tests.crash import rollouts

if __name__ == "__main__":
    sys.exit(rollouts.main("upgrade", __doc__, is_upgrade=True))
