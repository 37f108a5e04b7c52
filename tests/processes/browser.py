"""A real browser for tests: Debian's Chromium, without a window and without a network, driven by Selenium."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless --no-sandbox --disable-gpu --hide-scrollbars --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --disable-dev-shm-usage"
)
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
"""Only what this machine itself serves is found."""
CONTRASTS = """
const rgb = (text) => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
const light = (c) => c.slice(0, 3).map((v) => v / 255)
  .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const ground = (e) => {
  for (; e; e = e.parentElement) {
    const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c;
  }
};
const found = [];
for (const e of document.querySelectorAll("body *")) {
  const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !e.getClientRects().length || e.closest("script, style, .hoverlayer, .unseen")) continue;
  const style = getComputedStyle(e);
  const text = e instanceof SVGElement ? style.fill : style.color;
  const behind = e.closest(".units svg") ? rgb(getComputedStyle(document.querySelector("svg .box")).fill) : ground(e);
  const [a, b] = [light(rgb(text)), light(behind)].sort((x, y) => y - x);
  found.push([(a + 0.05) / (b + 0.05), e.tagName + " " + e.textContent.trim().slice(0, 40)]);
}
return found;
"""
"""A program: the contrast of each text with its ground, and the text; WCAG 2 asks for 4.5."""


@contextmanager
def opened(profile: Path) -> Iterator[Any]:
    """A driver of a browser of its own, which logs each request; skips, saying so, where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="Selenium, of the extra dev, is not installed")
    service = pytest.importorskip("selenium.webdriver.chrome.service")
    chromium, chromedriver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if chromium is None or chromedriver is None:
        pytest.skip("no chromium with its chromedriver on this machine to open the page with")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS.split(), OFFLINE, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, service.Service(chromedriver))
    try:
        yield driver
    finally:
        driver.quit()


def show(driver: Any, page: Path, *, width: int = 1100, scheme: str = "light") -> None:
    """Opens a file at a width in pixels and in a colour scheme."""
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    still = {
        "name": "prefers-reduced-motion",
        "value": "reduce",
    }  # a click in the middle of a scroll hits another place
    features = [{"name": "prefers-color-scheme", "value": scheme}, still]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    driver.get(page.as_uri())
