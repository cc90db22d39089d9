"""A real Chromium with a page in it, and what it complained about or tried to load."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.interop.requirements import require_chromium

#: Wide and narrow windows, in which nothing may be cut.
WIDE, NARROW = (1280, 900), (420, 800)
VIEWS = ("overview", "lanes", "actions", "keys", "findings", "matrix", "growth", "compare")


@dataclass
class Browsed:
    """A page in Chromium.

    Attributes:
        page: Playwright's page.
        complaints: messages of the console, and exceptions.
        requests: addresses that were asked for.
    """

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def go(self, view: str) -> None:
        """Show a view, and wait until it is drawn."""
        self.page.evaluate("view => { location.hash = view }", view)
        self.page.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    @property
    def text(self) -> str:
        """What the view says."""
        return str(self.page.inner_text("main"))

    @property
    def is_too_wide(self) -> bool:
        """Whether the page has to be scrolled sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@contextmanager
def browsing(
    address: str | Path,
    *,
    size: tuple[int, int] = WIDE,
    scheme: str = "light",
    has_policy: bool = True,
) -> Iterator[Browsed]:
    """Open a file or an address; without its policy a page lets a test add programs to it."""
    program = require_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(program), args=["--no-sandbox"])
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            bypass_csp=not has_policy,
        )
        browsed = Browsed(context.new_page())
        browsed.page.on("console", lambda message: browsed.complaints.append(message.text))
        browsed.page.on("pageerror", lambda error: browsed.complaints.append(str(error)))
        browsed.page.on("request", lambda request: browsed.requests.append(request.url))
        browsed.page.goto(address.as_uri() if isinstance(address, Path) else address)
        browsed.page.wait_for_selector("html[data-ready]", state="attached")
        yield browsed
        context.close()
        browser.close()
