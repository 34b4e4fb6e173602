"""Explorations on the built site: weight in the page, and time from an input event to the new frame.

Needs the built site and Chromium. The time ends when the browser has painted: at the second
animation frame after the event, so waiting for the screen's next refresh (up to 17 ms) is in it.
"""

from __future__ import annotations

import pathlib
import re
import shutil
import statistics
import sys

from playwright.sync_api import sync_playwright

SITE = pathlib.Path(__file__).parents[1] / "_build/html"
LIMIT_MS, LIMIT_KB = 50, 400
MEASURE = """async (root) => {
  const sliders = [...root.querySelectorAll('input[type=range]')], times = [];
  root.scrollIntoView();
  for (let i = 0; i < 50; i++) {
    const slider = sliders[i % sliders.length], count = Number(slider.max) + 1;
    slider.value = (Number(slider.value) + 1 + i % Math.max(count - 1, 1)) % count;
    const start = performance.now();
    slider.dispatchEvent(new Event('input', {bubbles: true}));
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    times.push(performance.now() - start);
  }
  return times;
}"""


def main() -> int:
    """Print a table; the exit status is 1 if an exploration is too heavy or too slow."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None or not (SITE / "index.html").is_file():
        print("explorations: not measured, needs Chromium and the built site (make site)")
        return 0
    print(f"{'exploration':28} {'frames':>6} {'KB':>6} {'median ms':>10} {'worst ms':>9}")
    too_much = False
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]).new_page()
        for path in sorted(SITE.glob("chapters/**/*.html")):
            source = path.read_text()
            for match in re.finditer(r'<figure class="exploration" id="([^"]+)".*?</figure>', source, re.S):
                page.goto(path.as_uri())
                root = page.locator(f"#{match[1]}")
                root.locator(".exploration-controls").wait_for()
                times = root.evaluate(MEASURE)
                median, kilobytes = statistics.median(times), len(match[0].encode()) / 1000
                frames = root.evaluate("""e => JSON.parse(e.querySelector('.exploration-data').textContent)
                                          .parameters.reduce((n, p) => n * p.values.length, 1)""")
                print(f"{match[1]:28} {frames:6} {kilobytes:6.0f} {median:10.1f} {max(times):9.1f}")
                too_much |= median > LIMIT_MS or kilobytes > LIMIT_KB
    return int(too_much)


if __name__ == "__main__":
    sys.exit(main())
