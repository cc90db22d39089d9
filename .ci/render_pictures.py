"""Draw the pictures of the README and the pages from a real run of Bazel, whose logs are kept.

`--run` builds a workspace with planted leaks (`pictures/build.py`) on a server, checks what was recorded,
and replaces the logs in `pictures/data`; it needs Bazel. Without it, pages are made from the kept logs
and drawn by Chromium.
`--check` writes nothing and exits 1 when a picture does not look like the page any more: it has another
size, or its mean difference is too large. Fonts differ a little from machine to machine; a view that has
changed differs much more.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import importlib.util
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # a checkout is enough
sys.path.insert(0, str(Path(__file__).resolve().parent))

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

IMAGES: Final = ROOT / "docs" / "images"
DATA: Final = Path(__file__).resolve().parent / "pictures" / "data"
#: What a run leaves: the events of the server, the JSON of check.
LOG, CHECK = "build.jsonl", "check.json"
#: Actions of the build, and of those the ones that are checked.
_ACTIONS, _CHECKED = 90, 6
#: The largest mean difference of two pictures, of 255: other fonts make about 2, another view more than 8.
TOLERANCE: Final = 4.0
_WIDTH, _HEIGHT = 1280, 720


class Picture(NamedTuple):
    """A view, what is scrolled to, and the scheme and the height of the window."""

    view: str
    place: str = ""
    scheme: str = "light"
    height: int = _HEIGHT


PICTURES: Final = {
    "report-overview": Picture("overview", height=900),
    "report-lanes": Picture("lanes", height=640),
    "report-findings": Picture("findings", place=".finding:has(.members)", height=780),
    "report-matrix": Picture("matrix", scheme="dark"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only compare")
    parser.add_argument("--run", action="store_true", help="build with Bazel first")
    options = parser.parse_args(arguments)
    if importlib.util.find_spec("playwright") is None or shutil.which("chromium") is None:
        print("pictures: not compared, there is no Chromium or no playwright here")
        return int(bool(os.environ.get("RPW_FIXTURE_REQUIRE_INTEROP")))
    if options.run:
        run()
    wrong = {name: text for name, text in _drawn(check=options.check).items() if text}
    for name, text in wrong.items():
        print(f"{IMAGES / name}.png: {text}; run {Path(__file__).name}", file=sys.stderr)
    return int(bool(wrong))


def run() -> None:
    """Build, check what was recorded, and keep the logs."""
    from pictures import recorded_run  # noqa: PLC0415 - needs Bazel

    with tempfile.TemporaryDirectory(prefix="rpw-pictures-") as folder:
        log, check = recorded_run.make(Path(folder), actions=_ACTIONS, checked=_CHECKED)
        for name, path in {LOG: log, CHECK: check}.items():
            with gzip.GzipFile(DATA / f"{name}.gz", "wb", mtime=0) as file:
                file.write(path.read_bytes())


def _drawn(*, check: bool) -> dict[str, str]:
    """Draw all pictures; return for each what is wrong with the present one, or write it."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="rpw-pictures-") as folder, browser() as chromium:
        page = make_page(Path(folder))
        for name, picture in PICTURES.items():
            drawn = draw(chromium, page, picture)
            path = IMAGES / f"{name}.png"
            known = path.read_bytes() if path.exists() else b""
            found[name] = compared(chromium, known, drawn)
            if found[name] and not check:
                path.write_bytes(drawn)
                found[name] = ""
    return found


def make_page(folder: Path) -> Path:
    """Return the report of the kept logs, as a file."""
    from rpw_fixture.report import inputs, page  # noqa: PLC0415 - only when something is drawn

    for name in (LOG, CHECK):
        with gzip.open(DATA / f"{name}.gz") as file:
            (folder / name).write_bytes(file.read())
    path = folder / "report.html"
    path.write_text(page.render(inputs.read([folder / LOG, folder / CHECK])), encoding="utf-8")
    return path


@contextmanager
def browser() -> Iterator[Any]:
    """Start Chromium."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - may be missing

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        yield found
        found.close()


def draw(chromium: Any, page: Path, picture: Picture) -> bytes:
    """Return a view as PNG."""
    context = chromium.new_context(
        viewport={"width": _WIDTH, "height": picture.height},
        color_scheme=picture.scheme,
        timezone_id="UTC",
        locale="en",
    )
    try:
        tab = context.new_page()
        tab.goto(f"{page.as_uri()}#{picture.view}")
        tab.wait_for_selector("html[data-ready]", state="attached")
        if picture.place:
            tab.eval_on_selector(picture.place, _SHOW)
        tab.evaluate(_TWO_FRAMES)
        return bytes(tab.screenshot())
    finally:
        context.close()


def compared(chromium: Any, known: bytes, drawn: bytes) -> str:
    """Return how a picture differs from the one that is there; empty if it is as good as the same."""
    if not known:
        return "is missing"
    context = chromium.new_context()
    try:
        tab = context.new_page()
        urls = [
            f"data:image/png;base64,{base64.b64encode(each).decode()}" for each in (known, drawn)
        ]
        size, other, difference = tab.evaluate(_DIFFERENCE, urls)
    finally:
        context.close()
    if size != other:
        return f"has {size[0]} x {size[1]} pixels instead of {other[0]} x {other[1]}"
    if difference > TOLERANCE:
        return f"differs from the page by {difference:.1f} of 255 in the mean (at most {TOLERANCE})"
    return ""


#: Unfold the evidence of a finding, and scroll to it.
_SHOW = """each => {
  for (const folded of each.querySelectorAll("details.folded")) folded.open = true;
  each.scrollIntoView();
}"""
_TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
#: The pictures are compared at half their size, which evens out the edges of letters.
_DIFFERENCE = """async urls => {
  const images = await Promise.all(urls.map(async url => {
    const image = new Image();
    image.src = url;
    await image.decode();
    return image;
  }));
  const pixels = images.map(image => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width >> 1, image.height >> 1];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return context.getImageData(0, 0, canvas.width, canvas.height).data;
  });
  const sizes = images.map(image => [image.width, image.height]);
  let sum = 0;
  for (let index = 0; index < pixels[0].length; index += 1) {
    sum += Math.abs(pixels[0][index] - pixels[1][index]);
  }
  return [...sizes, sum / (pixels[0].length * 3 / 4)];
}"""

if __name__ == "__main__":
    sys.exit(main())
