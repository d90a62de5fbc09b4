"""Behind the proxy, the issuer of an EKS cluster has a certificate that can be trusted, and that stays."""

import hashlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_on_spot.simcloud.oidc_proxy import OidcProxy

ISSUER = "oidc.eks.eu-west-1.amazonaws.com"


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[OidcProxy]:
    proxy = OidcProxy(tmp_path / "issuer")
    proxy.start()
    yield proxy
    proxy.stop()


def connected(proxy: OidcProxy, asked: str) -> tuple[socket.socket, bytes]:
    """(connection through the proxy, what it answered first)."""
    connection = socket.create_connection(("127.0.0.1", int(proxy.url.rpartition(":")[2])), timeout=10)
    connection.sendall(asked.encode() + b" HTTP/1.1\r\n\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(4096)
    return connection, answer.splitlines()[0]


def thumbprint(proxy: OidcProxy, host: str = ISSUER) -> str:
    context = ssl.create_default_context(cafile=str(proxy.authority))
    connection, _ = connected(proxy, f"CONNECT {host}:443")
    with context.wrap_socket(connection, server_hostname=host) as issuer:
        issuer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert issuer.recv(4096).startswith(b"HTTP/1.1 404")
        certificate = issuer.getpeercert(binary_form=True)
    assert certificate
    return hashlib.sha1(certificate, usedforsecurity=False).hexdigest()


def test_the_issuers_certificate_is_trusted_by_the_proxys_authority_and_by_no_other(proxy: OidcProxy) -> None:
    assert len(thumbprint(proxy)) == 40
    with connected(proxy, f"CONNECT {ISSUER}:443")[0] as connection, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(connection, server_hostname=ISSUER)


def test_the_thumbprint_is_that_of_the_region_and_the_same_behind_the_next_proxy(proxy: OidcProxy) -> None:
    before = thumbprint(proxy)
    following = OidcProxy(proxy.authority.parent)
    following.start()
    try:
        assert thumbprint(following) == before
        assert thumbprint(following, "oidc.eks.eu-west-2.amazonaws.com") != before
    finally:
        following.stop()


def test_other_connections_are_passed_on_as_they_are(proxy: OidcProxy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def echo() -> None:
            visitor, _ = server.accept()
            with visitor:
                visitor.sendall(visitor.recv(100)[::-1])

        echoing = threading.Thread(target=echo)
        echoing.start()
        connection, answer = connected(proxy, f"CONNECT 127.0.0.1:{server.getsockname()[1]}")
        with connection:
            assert b"200" in answer
            connection.sendall(b"abc")
            assert connection.recv(100) == b"cba"
        echoing.join(10)


def test_nothing_but_a_tunnel_is_served(proxy: OidcProxy) -> None:
    connection, answer = connected(proxy, f"GET https://{ISSUER}/")
    connection.close()
    assert b"405" in answer
