"""The load generator's browser loads a page of the shop, and its spans arrive, through the demo's network policies.

On loopback: what the policies let the load generator reach answers, and requests that they drop get no answer. The
page and the way to it are those of opentelemetry-demo 2.1.3: src/frontend/pages/_document.tsx,
src/load-generator/locustfile.py.
"""

import ssl
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import trustme

from otel_on_spot.waiting import wait_until
from tests.browser.chromium import Browser, Page, running
from tests.charts.demo_chart import Wrapper
from tests.charts.flows import BROWSER_FLOWS, BROWSER_INTERNET_PORT, Flow, allowed, reachable
from tests.charts.test_network_policy import PUBLIC_ADDRESS, labels_of, policies

(SPANS,) = BROWSER_FLOWS
SHOP = Flow("load-generator", "frontend-proxy", 8080)
STYLESHEETS = ("fonts.googleapis.com", BROWSER_INTERNET_PORT)
HUNG_SECONDS = 3.0
"""In place of the 60 s that the load generator waits (locust_plugins/users/playwright.py, pw: set_default_timeout)."""

PAGE = f"""<!DOCTYPE html><html><head>
<link rel="preconnect" href="https://{STYLESHEETS[0]}"/>
<link href="https://{STYLESHEETS[0]}/css2?family=Open+Sans&display=swap" rel="stylesheet"/>
<title>OTel demo</title>
<script src="/_next/static/chunks/main.js" defer=""></script>
</head><body>
<div id="__next"><select name="currency_code"><option>USD</option><option>CHF</option></select></div>
<script>window.ENV = {{NEXT_PUBLIC_OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: '%s'}};</script>
</body></html>"""
MAIN = """
const send = () => fetch(window.ENV.NEXT_PUBLIC_OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, {
  method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify({resourceSpans: []}),
}).catch(() => {});
document.querySelector('[name="currency_code"]').addEventListener('change', send);
"""
OWN_EXPORTS = f"http://{SPANS.target}:{SPANS.port}/v1/traces"
"""Where a page that a synthetic request asked for sends its spans."""


@dataclass
class Served:
    """What was asked for, by its way: ``GET /cart``."""

    asked: list[str] = field(default_factory=list)

    def server(self) -> ThreadingHTTPServer:
        """The shop, the collector and the stylesheets; each is asked for its own part."""
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                synthetic = "synthetic_request=true" in self.headers.get("baggage", "")
                page = PAGE % (OWN_EXPORTS if synthetic else "/otlp-http/v1/traces")
                kinds = {".js": ("text/javascript", MAIN), "css2": ("text/css", "body { margin: 0 }")}
                path = self.path.partition("?")[0]
                self.answer(*next((found for end, found in kinds.items() if path.endswith(end)), ("text/html", page)))

            def do_OPTIONS(self) -> None:
                self.answer("text/plain", "")

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.answer("application/json", "{}")

            def answer(self, kind: str, text: str) -> None:
                asked.append(f"{self.command} {self.path.partition('?')[0]}")
                self.send_response(200)
                for name, value in {
                    "content-type": kind,
                    "content-length": str(len(text.encode())),
                    "access-control-allow-origin": "*",
                    "access-control-allow-headers": "*",
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@contextmanager
def answering(server: ThreadingHTTPServer) -> Generator[int]:
    """Run a server: its port."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Browser, Served]]:
    """A browser that finds the hosts that the page needs on loopback, and what is asked there."""
    asked = Served()
    shop, stylesheets = asked.server(), asked.server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(STYLESHEETS[0]).configure_cert(context)
    stylesheets.socket = context.wrap_socket(stylesheets.socket, server_side=True)
    with answering(shop) as plain, answering(stylesheets) as encrypted:
        ports = {(SHOP.target, SHOP.port): plain, (SPANS.target, SPANS.port): plain, STYLESHEETS: encrypted}
        rules = [f"MAP {host}:{port} 127.0.0.1:{found}" for (host, port), found in ports.items()]
        with running(tmp_path_factory.mktemp("browser"), rules, "--ignore-certificate-errors") as browser:
            yield browser, asked


def passes(known_demo: Wrapper, shell: Wrapper, given: Mapping[str, Any]) -> set[tuple[str, int]]:
    """The hosts and ports, of those that the page needs, that the load generator's packets get to.

    In prod; tests/charts/test_network_policy.py holds every environment to the same flows.
    """
    rendered, labels = policies(shell, "prod", dict(given)), labels_of(known_demo, "prod")
    flows = allowed(rendered, labels, {SHOP.port, SPANS.port})
    out = reachable(rendered, labels, PUBLIC_ADDRESS, {BROWSER_INTERNET_PORT}).get(SPANS.source, set())
    return {(flow.target, flow.port) for flow in (SHOP, SPANS) if flow in flows} | {
        (STYLESHEETS[0], port) for port in out
    }


@contextmanager
def visit(there: tuple[Browser, Served], reached: set[tuple[str, int]]) -> Generator[tuple[Page, Served]]:
    """Ask for the cart's page as the load generator does, where these hosts answer and requests to others are held."""
    browser, asked = there
    asked.asked.clear()
    dropped = {(SHOP.target, SHOP.port), (SPANS.target, SPANS.port), STYLESHEETS} - reached
    with browser.page() as page:
        page.call("Network.setCacheDisabled", cacheDisabled=True)
        page.call("Network.setExtraHTTPHeaders", headers={"baggage": "synthetic_request=true"})
        if dropped:
            page.call("Fetch.enable", patterns=[{"urlPattern": f"*://{host}*"} for host, _ in dropped])
        page.goto(f"http://{SHOP.target}:{SHOP.port}/cart")
        yield page, asked


def choose_francs(page: Page) -> None:
    """What the task does next: ``page.select_option('[name="currency_code"]', 'CHF')``."""
    page.evaluate(
        "(() => { const chosen = document.querySelector('[name=\"currency_code\"]'); chosen.value = 'CHF';"
        " chosen.dispatchEvent(new Event('change')) })()"
    )


def test_the_page_loads_and_its_spans_arrive(
    known_demo: Wrapper, shell: Wrapper, served: tuple[Browser, Served]
) -> None:
    with visit(served, passes(known_demo, shell, {})) as (page, seen):
        assert page.wait_for("Page.domContentEventFired"), page.complaints()
        choose_francs(page)
        assert wait_until(lambda: "POST /v1/traces" in seen.asked, 20, every=0.05), (seen.asked, page.complaints())
        assert "GET /css2" in seen.asked


def test_without_the_way_to_the_stylesheet_the_page_hangs(
    known_demo: Wrapper, shell: Wrapper, served: tuple[Browser, Served]
) -> None:
    closed = {"networkPolicy": {"internet": {"clients": {"load-generator": None}}}}
    with visit(served, passes(known_demo, shell, closed)) as (page, seen):
        assert page.wait_for("Page.frameNavigated"), page.complaints()
        assert not page.wait_for("Page.domContentEventFired", HUNG_SECONDS)
        assert page.evaluate("document.readyState") == "loading"
        assert "GET /css2" not in seen.asked


def test_without_the_way_to_the_collector_the_page_loads_and_its_spans_are_lost(
    known_demo: Wrapper, shell: Wrapper, served: tuple[Browser, Served]
) -> None:
    closed = {"networkPolicy": {"flows": {SPANS.source: {SPANS.target: [4317]}}}}
    with visit(served, passes(known_demo, shell, closed)) as (page, seen):
        assert page.wait_for("Page.domContentEventFired"), page.complaints()
        choose_francs(page)
        assert not wait_until(lambda: "POST /v1/traces" in seen.asked, HUNG_SECONDS, every=0.05)
        assert OWN_EXPORTS in page.requests()
