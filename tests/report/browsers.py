"""Chromium without a screen, driven by its ChromeDriver, and what it did while a page was open."""

import json
import shutil
from pathlib import Path

import pytest

SWITCHES = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions",
    "--force-prefers-reduced-motion",  # drawing without a graphics card is slow; tests of motion ask for it
    "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--window-size=1400,1000",
)  # fmt: skip


def open_browser(profile: Path, *switches: str):
    """A new browser with an empty profile; skips the test where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no Chromium with its ChromeDriver on this machine (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for switch in (*SWITCHES, *switches, f"--user-data-dir={profile}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


def complaints(browser) -> list[str]:
    """What pages wrote to the console, or the browser about them, since the last call; not the graphics driver."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["source"] != "rendering"]


def requests(browser) -> list[str]:
    """Addresses that were asked for since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


def screen(browser, width: int, height: int, mobile: bool = False) -> None:
    """Give the page a screen of this size in pixels."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def media(browser, **features: str) -> None:
    """Emulate media features, for example prefers_color_scheme="dark"; `media` is the medium."""
    medium = features.pop("media", "")
    listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": medium, "features": listed})
