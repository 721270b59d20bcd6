"""A rolling restart under load, with migrations in its middle: this release, and a next one.

    python -m tests.crash.rolling --seconds 60 --rate 60

The next release has a migration more for each table that all mail goes through. Clients submit,
read and report; they ask again only where a connection broke. Exits with 1 where a request failed,
or a message or report was lost or doubled.
"""

import sys

from tests.crash import rollouts

if __name__ == "__main__":
    sys.exit(rollouts.main("rolling", __doc__, is_upgrade=False))
