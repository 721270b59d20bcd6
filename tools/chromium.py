"""The Chromium that is driven: by the tests of the console, and to take pictures of it."""

import shutil

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first is the same engine without a window to draw around the page: it takes half the time."""
ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
MISSING = "Chromium is not installed: apt-get install chromium-headless-shell, or chromium"


def find() -> str | None:
    """The path of the first that is installed; None where none is."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)
