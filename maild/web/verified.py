"""What an admin may do only when their own address is confirmed: whoever signs up with somebody
else's must not have others mailed, nor keep a key to the workspace.
"""

from maild.domain.role import ADMINS
from maild.errors import Forbidden
from maild.web import access

NEEDED = "Confirm your own address first."


def require() -> None:
    """Raises Forbidden where the visitor's address is not confirmed."""
    if not access.visitor().is_verified:
        raise Forbidden(NEEDED)


def find_lock() -> str | None:
    """Why such things are out of the visitor's reach; None where they are not."""
    if access.current_workspace().role not in ADMINS:
        return access.ADMIN_NEEDED
    return None if access.visitor().is_verified else NEEDED
