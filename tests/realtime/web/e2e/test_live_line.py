"""The live door when there is no place for a camera, and when the server goes away and comes back."""

import re

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import expect


def wait_for_results(page):
    """Waits until pictures are read that were taken from now on."""
    page.wait_for_function(
        "before => window.stgtLive.results > before + 2", arg=page.evaluate("window.stgtLive.results")
    )


def test_who_finds_no_place_waits_in_line(start_thread_server, open_page, by_test):
    server = start_thread_server(live_sessions=1)
    pages = []
    for place in (r"^Live\.", "you are next in line", "1 camera is before yours in line"):
        pages.append(open_page("#live", server=server))
        by_test(pages[-1], "live-start").click()
        expect(by_test(pages[-1], "live-status")).to_have_text(re.compile(place))
    first, second, third = pages
    wait_for_results(first)
    assert [page.evaluate("window.stgtLive.results") for page in (second, third)] == [0, 0]
    by_test(first, "live-stop").click()
    wait_for_results(second)
    expect(by_test(second, "live-status")).to_have_text(re.compile(r"^Live\."))
    expect(by_test(third, "live-status")).to_have_text(re.compile("you are next in line"))
    assert third.evaluate("window.stgtLive.results") == 0


def test_a_server_that_comes_back_is_found_again(start_thread_server, browser, by_test):
    page = browser.new_page(permissions=["camera"])  # not `open_page`: that a server is gone stands in the console
    try:
        server = start_thread_server()
        page.goto(f"{server.url}/#live")
        by_test(page, "live-start").click()
        wait_for_results(page)
        server.cut_off()
        status = by_test(page, "live-status")
        expect(status).to_have_text(re.compile(r"Trying again in [\d.]+ s\.$"))
        start_thread_server(server.port)
        wait_for_results(page)
        expect(status).to_have_text(re.compile(r"^Live\."))
    finally:
        page.close()
