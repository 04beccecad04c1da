"""Makes report.png, the picture of a report in the README, by a real headless Chromium.

Run as `python -m docs.picture demo-lake/report/index.html docs/report.png`.
"""

import sys
import tempfile
from base64 import b64decode
from pathlib import Path

from tests.browser import Page, browser, chromium

WIDTH, HEIGHT = 1280, 1200
_DRAWN = "document.documentElement?.dataset.drawn"


def picture(report: Path) -> bytes:
    """Return the top of a report's page as PNG.

    Raises:
        RuntimeError: there is no Chromium on this machine.
    """
    path = chromium()
    if path is None:
        raise RuntimeError("There is no Chromium on this machine; `make browser` installs it.")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        browser(path, Path(folder)) as running,
    ):
        page = Page(running)
        page.looks(WIDTH, height=HEIGHT)
        page.open(report.absolute(), _DRAWN)
        shot = page.call("Page.captureScreenshot", {"format": "png"})
        return b64decode(shot["data"])


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(picture(Path(sys.argv[1])))
