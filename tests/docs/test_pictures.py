"""The comparison of pictures: what it takes for the same, and what it notices."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.interop.requirements import require_chromium

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".ci"))

import render_pictures as pictures

pytestmark = pytest.mark.slow


def test_another_view_another_size_and_no_picture_are_noticed(tmp_path: Path) -> None:
    require_chromium()
    page = pictures.make_page(tmp_path)
    lanes = pictures.PICTURES["report-lanes"]
    with pictures.browser() as chromium:
        drawn = pictures.draw(chromium, page, lanes)
        assert pictures.compared(chromium, drawn, drawn) == ""
        assert pictures.compared(chromium, b"", drawn) == "is missing"
        lower = pictures.draw(chromium, page, lanes._replace(height=600))
        assert "1280 x 640 pixels instead of 1280 x 600" in pictures.compared(
            chromium, drawn, lower
        )
        for other in (lanes._replace(view="actions"), lanes._replace(scheme="dark")):
            text = pictures.compared(chromium, drawn, pictures.draw(chromium, page, other))
            assert "differs from the page by" in text, other
