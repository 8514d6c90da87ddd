"""A report in a real browser: headless Chromium draws it, and says what it drew.

The page itself runs no script. So it is opened twice: as it is, for what the browser complains of,
and with a script put into a copy, which measures what was drawn and writes that into the page.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from penstock.bench import load
from penstock.bench.report import html

RUN = Path(__file__).parent / "data" / "bench.json"
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)

pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="platform: there is no Chromium on it"),
    pytest.mark.timeout(180),  # the first start of a browser on a busy machine
]

MEASURE = """
const boxes = (list) => [...list].map((each) => each.getBoundingClientRect());
const overlap = (a, b) => a.left < b.right - 1 && b.left < a.right - 1
  && a.top < b.bottom - 1 && b.top < a.bottom - 1;
document.querySelectorAll("details").forEach((each) => { each.open = true; });
const found = { outside: [], overlapping: [], colours: new Set(), heights: [] };
for (const svg of document.querySelectorAll("svg")) {
  const frame = svg.getBoundingClientRect();
  found.heights.push(frame.height);
  for (const text of svg.querySelectorAll("text")) {
    const box = text.getBoundingClientRect();
    if (box.left < frame.left - 1 || box.right > frame.right + 1
        || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
      found.outside.push(text.textContent);
  }
  for (const kind of ["label", "tick"]) {
    const texts = [...svg.querySelectorAll("text." + kind)];
    const all = boxes(texts);
    all.forEach((box, at) => all.slice(at + 1).forEach((other, more) => {
      if (overlap(box, other))
        found.overlapping.push([texts[at].textContent, texts[at + 1 + more].textContent]);
    }));
  }
  svg.querySelectorAll(".bar").forEach((bar) => found.colours.add(getComputedStyle(bar).fill));
}
found.colours = [...found.colours];
found.wide = document.documentElement.scrollWidth > window.innerWidth;
found.loaded = performance.getEntriesByType("resource").length;
const out = document.createElement("pre");
out.id = "found";
out.textContent = JSON.stringify(found);
document.body.append(out);
"""


def browse(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Open `page` with no network and a profile of its own; the output is the page's DOM."""
    command = [CHROMIUM, "--headless", "--disable-gpu", "--no-sandbox", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update"]
    command += [
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={page.parent / 'profile'}",
    ]
    command += ["--enable-logging=stderr", "--dump-dom", *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


@cache
def report() -> str:
    """The page of a run of three loads."""
    return html(load(RUN))


def measured(folder: Path, width: int) -> dict[str, Any]:
    """What the script finds in a window so wide."""
    page = folder / "measured.html"
    text = re.sub(r"<meta http-equiv=[^>]*>", "", report())
    page.write_text(text.replace("</body>", f"<script>{MEASURE}</script></body>"), "utf-8")
    done = browse(page, f"--window-size={width},1000")
    (found,) = re.findall(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    kept: dict[str, Any] = json.loads(found.replace("&lt;", "<").replace("&amp;", "&"))
    return kept


def test_the_browser_complains_of_nothing(tmp_path: Path) -> None:
    """No error of the page's policy, markup or styles; the table is in what it built."""
    page = tmp_path / "page.html"
    page.write_text(report(), "utf-8")
    done = browse(page)

    assert [] == [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert "TTFT: time to first token" in done.stdout


def test_a_complaint_would_be_seen(tmp_path: Path) -> None:
    """The check above can fail: a picture that the policy forbids is complained of."""
    page = tmp_path / "page.html"
    page.write_text(report().replace("</body>", '<img src="data:,"></body>'), "utf-8")

    assert "CONSOLE" in browse(page).stderr


@pytest.mark.parametrize("width", [1100, 500])
def test_what_is_drawn_can_be_read(tmp_path: Path, width: int) -> None:
    """On a wide and a narrow screen no label leaves its plot or covers another."""
    found = measured(tmp_path, width)

    assert [] == found["outside"]
    assert [] == found["overlapping"]
    assert not found["wide"]
    assert 0 == found["loaded"]
    assert 1 == len(found["colours"])
    assert found["colours"] != ["rgb(0, 0, 0)"]
    assert min(found["heights"]) > 100
