"""nginx in front of the registry: TLS with HTTP/2 for what is small, HTTP/1.1 for blobs (DESIGN 5)."""
from support.nginx import Nginx


def test_small_things_come_over_http_2_and_blobs_over_http_1_1(davit, open_registry, authority, images,
                                                               tmp_path):
    with Nginx(tmp_path, open_registry.host, authority) as nginx:
        davit("pull", f"{nginx.host}/demo/multi:1.0")
        davit("pull", f"{nginx.host}/demo/tiny100:1.0")
        davit("digest", f"{nginx.host}/demo/multi:1.0")
        seen = nginx.accesses()
    assert davit.store.wrong_blobs() == []
    assert set(images.image("tiny100").blobs) <= davit.store.blobs()
    assert {a.protocol for a in seen if "/manifests/" in a.uri and a.tls} == {"HTTP/2.0"}
    assert {a.protocol for a in seen if "/blobs/" in a.uri and a.tls} == {"HTTP/1.1"}
