"""The page as such: for every screen, for the keyboard, and for nobody else. Every test here also holds it to an empty
console and to no request to another host, in a browser whose network ends at this machine."""

import re

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import expect

DOORS = ("live", "video", "photo")
SCREENS = [("light", 360, 740), ("dark", 360, 740), ("light", 820, 1180), ("dark", 1440, 900)]


def test_every_door_fits_every_screen(open_page, by_test):
    page = open_page("")
    for door in DOORS:
        page.goto(page.url.split("#")[0] + f"#{door}")
        expect(by_test(page, f"door-{door}")).to_be_visible()
        for other in set(DOORS) - {door}:
            expect(by_test(page, f"door-{other}")).to_be_hidden()
        for scheme, width, height in SCREENS:
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (door, width)
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            brightness = sum(map(int, re.findall(r"\d+", ground)[:3])) / 3
            assert brightness > 200 if scheme == "light" else brightness < 70, (door, scheme)


def test_the_keyboard_reaches_everything(open_page):
    page = open_page("#video")
    focusable = page.evaluate(
        """() => [...document.querySelectorAll('a[href], button, input, select, summary, [tabindex]')]
          .filter(e => e.checkVisibility() && !e.disabled && e.tabIndex >= 0
                       && !(e.getAttribute('role') === 'tab' && e.getAttribute('aria-selected') === 'false'))
          .map((e, index) => (e.dataset.stop = index))"""
    )
    assert len(focusable) > 4
    reached = set()
    for _ in range(len(focusable) + 5):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("Number(document.activeElement?.dataset.stop ?? -1)"))
    assert set(focusable) <= reached
    # What has the focus shows it.
    page.keyboard.press("Tab")
    assert page.evaluate(
        """() => { const style = getComputedStyle(document.activeElement);
                   return style.outlineStyle !== 'none' || style.boxShadow !== 'none'; }"""
    )


def test_doors_open_by_keyboard(open_page, by_test):
    page = open_page("#live")
    page.locator('[href="#photo"]').first.focus()
    page.keyboard.press("Enter")
    expect(by_test(page, "door-photo")).to_be_visible()
    page.go_back()
    expect(by_test(page, "door-live")).to_be_visible()


def test_a_screen_reader_finds_its_way(open_page):
    page = open_page("#live")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, a[href], input, select, [role=slider], canvas, video')]
          .filter(e => e.checkVisibility() && e.getAttribute('aria-hidden') !== 'true'
             && !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.textContent.trim()
                  || e.title || e.labels?.length))
          .map(e => e.outerHTML.slice(0, 120))"""
    )
    assert nameless == []
    assert page.evaluate("document.documentElement.lang")
    assert page.title()
    assert page.locator("h1").count() == 1
    assert page.locator("[aria-live], [role=status]").count() > 0


def test_what_the_numbers_mean_is_said(open_page):
    text = open_page("").locator("body").inner_text().lower()
    assert "probabilit" in text
    assert re.search(r"does not|do not|doesn't|cannot|not what", text)
    assert "computer" in text or "machine" in text


def test_it_is_there_in_a_second_and_from_nowhere_else(open_page, by_test, web_server):
    page = open_page("#video")
    expect(by_test(page, "video-input")).to_be_enabled()
    times = page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()")
    assert times["domContentLoadedEventEnd"] < 1000
    policy = web_server.ask("GET", "/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    sources = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert sources
    assert all(address.startswith(web_server.url) for address in sources)
