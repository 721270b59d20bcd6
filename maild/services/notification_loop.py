"""The loop that sends notifications: one thread of a worker. Its hint is `notifications.HINT`.

Channels wait for servers and not for each other: AT_ONCE_MAX are posted to at the same time, and
only this thread touches the database.
"""

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from maild import db
from maild.errors import Unavailable
from maild.models import Notification
from maild.services import notification_delivery as delivery
from maild.services.loops import Loop
from maild.services.notification_delivery import Request
from maild.services.notification_mail import Outcome

AT_ONCE_MAX = 8
LOOK_SECONDS = 0.2
"""How soon one that comes while others are under way is begun."""


def drain(should_stop: Callable[[], bool] = lambda: False) -> int:
    """Try all that is due; how many that were. On `should_stop` those under way are finished."""
    count = 0
    under_way: dict[Future[Outcome], Request] = {}
    with ThreadPoolExecutor(AT_ONCE_MAX, thread_name_prefix="notify") as pool:
        while True:
            room = 0 if should_stop() else AT_ONCE_MAX - len(under_way)
            for row in delivery.claim(room) if room else []:
                count += 1
                request = _prepare(row)
                if request is not None:
                    under_way[pool.submit(delivery.send, request)] = request
            if not under_way:
                break
            done, _ = wait(under_way, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                delivery.settle(under_way.pop(future).row, future.result())
    return count


def _prepare(row: Notification) -> Request | None:
    try:
        return delivery.prepare(row)
    except Exception as error:
        if isinstance(error, Unavailable) or db.is_away(error):
            raise
        delivery.settle(row, delivery.crashed(row))
        return None


loop = Loop("notifications", drain)
