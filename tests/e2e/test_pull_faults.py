"""Pull from a registry, a link or a CDN that misbehaves: what it survives, and what it refuses."""
import gzip
import json
import time

import pytest

from conftest import serve
from support import oci
from support.davit import FAST, SLOW, assert_rss
from support.faults import (
    Action, AddHeaders, BadChunk, BigHeaders, Body, Close, Corrupt, Cut, Endless, FoldedHeader, GzipCoded,
    Header, LengthAndChunked, Longer, NoHeader, Pace, RangeIgnored, RangeRefused, RangeShifted, Raw,
    Redirect, Reset, StallBody, StallHead, Status, TooMany, Truncate, TwoLengths, Unavailable)
from support.faulty_registry import Bearer, FaultyRegistry

HALF = 750000


def pulls(davit, faulty, *options, **how):
    """The image arrives, bit for bit, and nothing else does."""
    result = davit(*FAST, *options, "--progress", "plain", "pull", faulty.ref, **how)
    davit.store.assert_exactly(faulty.image.blobs)
    return result


def refuses(davit, faulty, code, *options, **how):
    """The pull fails, and no image and no wrong blob is there."""
    result = davit.fails(code, *FAST, *options, "pull", faulty.ref, **how)
    assert davit("images", "-q").text == ""
    assert davit.store.wrong_blobs() == []
    return result


# ---- connections that die ------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["rst", "fin"])
def test_a_blob_cut_at_half_is_continued_with_a_range(davit, faulty, by):
    faulty.fault("blob", Cut(HALF, by), digest=faulty.layer, nth=1)
    pulls(davit, faulty)
    first, second = faulty.gets(faulty.layer)
    assert first.range is None and second.range[0] == HALF
    assert faulty.sent(faulty.layer) == faulty.image.sizes[faulty.layer]


def test_a_cut_blob_is_started_over_when_range_is_ignored(davit, faulty):
    """quirks: registry.k8s.io answers 200 to a Range"""
    faulty.fault("blob", Cut(HALF), digest=faulty.layer, nth=1)
    faulty.fault("blob", RangeIgnored(), digest=faulty.layer)
    pulls(davit, faulty)
    assert len(faulty.gets(faulty.layer)) <= 3
    assert faulty.sent(faulty.layer) <= HALF + 2 * faulty.image.sizes[faulty.layer]


@pytest.mark.parametrize("status", [416, 400])
def test_a_cut_blob_is_started_over_once_when_range_is_refused(davit, faulty, status):
    """quirks: MCR's CDN answers 400 to a Range"""
    faulty.fault("blob", Cut(HALF), digest=faulty.layer, nth=1)
    refused = faulty.fault("blob", RangeRefused(status), digest=faulty.layer)
    pulls(davit, faulty)
    assert refused.seen == 3
    assert [r.range is None for r in faulty.gets(faulty.layer)] == [True, False, True]


@pytest.mark.parametrize("honest", [True, False])
def test_a_range_that_starts_elsewhere_does_not_spoil_the_blob(davit, faulty, honest):
    """quirks: 206 must match the asked start"""
    faulty.fault("blob", Cut(HALF), digest=faulty.layer, nth=1)
    faulty.fault("blob", RangeShifted(-1, honest), digest=faulty.layer, nth=2)
    pulls(davit, faulty)


def test_a_blob_cut_every_64_kib_still_arrives(davit, faulty):
    """More cuts than attempts: new bytes reset the count."""
    faulty.fault("blob", Cut(64 << 10), digest=faulty.layer)
    pulls(davit, faulty, "--retry-delay", "0.01", timeout=60)
    assert len(faulty.gets(faulty.layer)) > 20
    assert faulty.sent(faulty.layer) == faulty.image.sizes[faulty.layer]


def test_a_large_blob_survives_cuts_in_several_ranges(davit, faulty, small):
    serve(faulty, small, "large")
    for nth in (1, 2, 4):
        faulty.fault("blob", Cut(1 << 20), digest=faulty.layer, nth=nth)
    faulty.fault("blob", Pace(20e6))
    pulls(davit, faulty)
    # each cut can lose no more than what was on its way
    assert faulty.sent(faulty.layer) <= faulty.image.sizes[faulty.layer] + (1 << 20)


def test_a_large_blob_arrives_whole_when_ranges_are_ignored(davit, faulty, small):
    serve(faulty, small, "large")
    faulty.fault("blob", RangeIgnored())
    pulls(davit, faulty)
    assert faulty.sent(faulty.layer) <= 2 * faulty.image.sizes[faulty.layer]


@pytest.mark.parametrize("status", [416, 400])
def test_a_large_blob_arrives_whole_when_ranges_are_refused(davit, faulty, small, status):
    serve(faulty, small, "large")
    faulty.fault("blob", RangeRefused(status))
    pulls(davit, faulty)


@pytest.mark.parametrize("kind", ["manifest", "blob"])
@pytest.mark.parametrize("fault", [Reset(), Close()], ids=["reset", "close"])
def test_a_connection_that_ends_without_an_answer_is_tried_again(davit, faulty, kind, fault):
    faulty.fault(kind, fault, times=2)
    pulls(davit, faulty)


def test_a_connection_that_always_ends_is_given_up(davit, faulty):
    faulty.fault("blob", Reset(), digest=faulty.layer)
    refuses(davit, faulty, 6, "--max-download-attempts", "3")
    assert 3 <= len(faulty.gets(faulty.layer)) <= 6      # once more on a fresh connection


# ---- busy registries -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["manifest", "blob"])
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("retry_after", [1, "date"])
def test_retry_after_is_waited_for(davit, faulty, kind, status, retry_after):
    faulty.fault(kind, TooMany(retry_after, status), nth=1)
    started = time.monotonic()
    pulls(davit, faulty)
    assert time.monotonic() - started >= 0.9       # a date has whole seconds only


@pytest.mark.parametrize("kind", ["manifest", "blob"])
@pytest.mark.parametrize("retry_after", [None, "soon"])
def test_429_without_a_time_is_tried_again(davit, faulty, kind, retry_after):
    faulty.fault(kind, TooMany(retry_after), times=2)
    pulls(davit, faulty)


@pytest.mark.parametrize("kind", ["manifest", "blob"])
def test_a_retry_after_of_an_hour_fails_now_and_names_the_time(davit, faulty, kind):
    """threat C9"""
    faulty.fault(kind, TooMany(3600))
    result = refuses(davit, faulty, 6, timeout=10)
    assert "3600" in result.error or "1h" in result.error or "60 min" in result.error
    assert result.seconds < 5 * SLOW


@pytest.mark.parametrize("kind", ["manifest", "blob"])
def test_503_twice_is_come_through(davit, faulty, kind):
    faulty.fault(kind, Unavailable(), times=2)
    pulls(davit, faulty)


@pytest.mark.parametrize("kind", ["manifest", "blob"])
def test_503_for_ever_is_given_up_with_status_6(davit, faulty, kind):
    faulty.fault(kind, Unavailable())
    refuses(davit, faulty, 6, "--max-download-attempts", "3")


# ---- slow registries -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["manifest", "blob"])
def test_a_stall_before_headers_ends_and_is_tried_again(davit, faulty, kind):
    """threat C9"""
    faulty.fault(kind, StallHead(60), nth=1)
    pulls(davit, faulty)


def test_a_registry_that_never_answers_fails_in_bounded_time(davit, faulty):
    """threat C9"""
    faulty.fault("any", StallHead(60))
    result = refuses(davit, faulty, 6, "--first-byte-timeout", "0.3",
                     "--max-download-attempts", "2")
    assert result.seconds < 8 * SLOW


def test_a_stall_in_mid_blob_is_continued_where_it_stopped(davit, faulty):
    """threat C9"""
    faulty.fault("blob", StallBody(HALF, 60), digest=faulty.layer, nth=1)
    pulls(davit, faulty)
    assert faulty.gets(faulty.layer)[-1].range[0] == HALF


def test_a_drip_of_10_bytes_a_second_is_given_up(davit, faulty):
    """threat C9"""
    faulty.fault("blob", Pace(10), digest=faulty.layer)
    result = refuses(davit, faulty, 6, "--stall-timeout", "2", "--min-rate", "1000",
                     "--max-download-attempts", "2", timeout=60)
    assert result.seconds < 30 * SLOW


def test_a_drip_once_is_come_through(davit, faulty):
    """threat C9"""
    faulty.fault("blob", Pace(10), digest=faulty.layer, nth=1)
    pulls(davit, faulty, "--stall-timeout", "1", "--min-rate", "1000", timeout=60)


def test_a_slow_link_above_the_limit_is_not_given_up(davit, faulty):
    faulty.fault("blob", Pace(500e3), digest=faulty.layer)
    pulls(davit, faulty, "--min-rate", "1000")
    assert len(faulty.gets(faulty.layer)) == 1


# ---- wrong bytes ---------------------------------------------------------------------------------


def test_a_corrupt_blob_is_refused(davit, faulty):
    """threat B6"""
    faulty.fault("blob", Corrupt(1000), digest=faulty.layer)
    result = refuses(davit, faulty, 5)
    assert f"filesystem layer verification failed for digest {faulty.layer}" in result.error
    assert faulty.layer not in davit.store.blobs()


def test_a_blob_corrupt_once_and_then_good_is_recovered(davit, faulty):
    """threat B6: a download put together from two answers is tried again from the first byte"""
    faulty.fault("blob", Corrupt(1000), digest=faulty.layer, nth=1)
    faulty.fault("blob", Cut(HALF), digest=faulty.layer, nth=1)
    pulls(davit, faulty)
    assert faulty.gets(faulty.layer)[-1].range is None


def test_a_corrupt_blob_is_good_in_the_next_pull(davit, faulty):
    """threat B6"""
    faulty.fault("blob", Corrupt(1000), digest=faulty.layer, nth=1)
    davit.run(*FAST, "pull", faulty.ref)
    pulls(davit, faulty)


def test_a_corrupt_config_is_refused(davit, faulty):
    """threat B6"""
    faulty.fault("blob", Corrupt(10), digest=faulty.image.config)
    result = refuses(davit, faulty, 5)
    assert "image config verification failed for digest" in result.error


@pytest.mark.parametrize("honest", [True, False], ids=["short-length", "early-end"])
def test_a_truncated_blob_is_refused(davit, faulty, honest):
    """threat B6, quirks: GHCR"""
    faulty.fault("blob", Truncate(HALF, honest), digest=faulty.layer, ranged=False)
    faulty.fault("blob", RangeRefused(416), digest=faulty.layer)
    refuses(davit, faulty, {5, 6}, "--max-download-attempts", "3")
    assert faulty.layer not in davit.store.blobs()


@pytest.mark.parametrize("honest", [True, False], ids=["short-length", "early-end"])
def test_a_blob_truncated_once_is_come_through(davit, faulty, honest):
    """threat B6, quirks: GHCR"""
    faulty.fault("blob", Truncate(HALF, honest), digest=faulty.layer, nth=1)
    pulls(davit, faulty)


def test_an_empty_blob_answer_is_not_taken_for_a_blob(davit, faulty):
    """quirks: 200 with no bytes"""
    faulty.fault("blob", Truncate(0), digest=faulty.layer)
    refuses(davit, faulty, {5, 6}, "--max-download-attempts", "2")


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_blob_longer_than_its_descriptor_is_refused(davit, faulty, framing):
    """threat B6"""
    faulty.fault("blob", Longer(framing=framing), digest=faulty.layer)
    refuses(davit, faulty, {5, 6}, "--max-download-attempts", "2")
    assert faulty.layer not in davit.store.blobs()


def test_bytes_after_the_content_length_are_not_the_blob(davit, faulty):
    faulty.fault("blob", Longer(framing="beyond"), digest=faulty.layer)
    pulls(davit, faulty)


def test_an_endless_blob_is_stopped_at_its_size(davit, faulty):
    """threat B6"""
    faulty.fault("blob", Endless(), digest=faulty.layer)
    refuses(davit, faulty, {5, 6}, "--max-download-attempts", "2")
    size = faulty.image.sizes[faulty.layer]
    assert faulty.sent(faulty.layer) < 4 * (size + (8 << 20)), "socket buffers, and no more"
    assert sum(p.stat().st_size for p in davit.store.path.rglob("*") if p.is_file()) < 2 * size


def test_a_descriptor_whose_size_lies_is_refused(davit, faulty):
    """threat B6"""
    for lie in (-1, +1):
        document = json.loads(faulty.image.bytes)
        document["layers"][0]["size"] += lie
        faulty.add_manifest("demo/web", oci.dumps(document), oci.OCI_MANIFEST, "1.0")
        refuses(davit, faulty, {5, 6}, "--max-download-attempts", "2")


def test_a_blob_that_is_not_there_fails_once(davit, faulty):
    del faulty.blobs[faulty.layer]
    refuses(davit, faulty, {1, 3}, timeout=20)


# ---- manifests -----------------------------------------------------------------------------------


def test_a_manifest_that_is_not_its_digest_is_refused(davit, faulty):
    """threat B5"""
    faulty.fault("manifest", Body(faulty.image.bytes + b" "), method="GET")
    ref = f"{faulty.host}/demo/web@{faulty.image.digest}"
    result = davit.fails(5, *FAST, "pull", ref)
    assert f"manifest verification failed for digest {faulty.image.digest}" in result.error
    assert davit.store.blobs() == set()


def test_a_manifest_of_a_tag_is_what_the_head_said(davit, faulty):
    """threat B5: HEAD's digest, then GET by that digest"""
    faulty.fault("manifest", Body(faulty.image.bytes + b" "), method="GET")
    refuses(davit, faulty, 5)


def test_a_child_that_is_not_its_digest_is_refused(davit, faulty, images):
    """threat B5"""
    faulty.add_image(images, "multi", "demo/web:multi")
    child = images.json(images.tags()["multi"]["digest"])["manifests"][0]["digest"]
    faulty.fault("manifest", Body(images.blob(child) + b"\n"), digest=child)
    davit.fails(5, *FAST, "pull", "--platform", "linux/amd64", f"{faulty.host}/demo/web:multi")


def test_without_docker_content_digest_it_is_computed(davit, faulty):
    """quirks: ECR"""
    faulty.fault("manifest", NoHeader("Docker-Content-Digest"))
    result = pulls(davit, faulty)
    assert f"Digest: {faulty.image.digest}" in result.messages
    assert davit(*FAST, "digest", faulty.ref).text == faulty.image.digest + "\n"


def test_without_docker_content_digest_on_get_only(davit, faulty):
    """quirks: ECR"""
    faulty.fault("manifest", NoHeader("Docker-Content-Digest"), method="GET")
    pulls(davit, faulty)


@pytest.mark.parametrize("value", ["sha256:" + "0" * 64, "nonsense", "sha256:" + "A" * 64,
                                   "sha256:../../../../etc/passwd"])
def test_a_wrong_docker_content_digest_is_refused(davit, faulty, value):
    """threat B1, B5"""
    faulty.fault("manifest", Header("Docker-Content-Digest", value))
    refuses(davit, faulty, {1, 3, 5})


def test_head_refused_and_get_answered(davit, faulty):
    """quirks: 401 on HEAD without a challenge; 405"""
    for status in (401, 405, 404):
        faulty.clear()
        faulty.fault("manifest", Status(status), method="HEAD")
        davit(*FAST, "pull", faulty.ref)


def test_an_endless_manifest_is_stopped(davit, faulty):
    """threat C1"""
    faulty.fault("manifest", Endless(), method="GET")
    result = davit.measured(*FAST, "pull", faulty.ref)
    assert result.code in (1, 5, 6), str(result)
    assert_rss(result, 64)
    assert max(r.sent for r in faulty.of("manifest")) < 32 << 20


def test_a_manifest_of_5_mib_is_refused(davit, faulty):
    """threat C1"""
    big = oci.dumps({**json.loads(faulty.image.bytes), "annotations": {"a": "x" * (5 << 20)}})
    faulty.add_manifest("demo/web", big, oci.OCI_MANIFEST, "1.0")
    result = refuses(davit, faulty, {1, 5, 6})
    assert "4" in result.error      # the limit is named


def test_an_endless_error_body_is_stopped(davit, faulty):
    """threat C1"""
    faulty.fault("manifest", Endless(prefix=b'{"errors":[{"code":"DENIED","message":"',
                                     piece=b"x" * 16384, status=403))
    result = davit.measured(*FAST, "pull", faulty.ref)
    assert result.code == 4, str(result)
    assert len(result.messages[-1]) < 4096
    assert_rss(result, 64)
    assert max(r.sent for r in faulty.of("manifest")) < 32 << 20


def test_an_endless_config_is_stopped(davit, faulty):
    """threat C1"""
    faulty.fault("blob", Endless(), digest=faulty.image.config)
    refuses(davit, faulty, {1, 5, 6}, "--max-download-attempts", "2")
    assert max(r.sent for r in faulty.gets(faulty.image.config)) < 32 << 20


# ---- redirects -----------------------------------------------------------------------------------


def test_blobs_redirected_to_another_origin_arrive(davit, faulty):
    faulty.fault("blob", Redirect())
    pulls(davit, faulty)
    assert len(faulty.of("data", origin="second")) == 4


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_every_kind_of_redirect_is_followed(davit, faulty, status):
    faulty.fault("blob", Redirect(status=status))
    pulls(davit, faulty)


def test_a_cut_redirected_blob_is_continued_through_the_registry(davit, faulty):
    faulty.fault("blob", Redirect())
    faulty.fault("data", Cut(HALF), digest=faulty.layer, nth=1)
    pulls(davit, faulty)
    ranges = [r.range for r in faulty.of("data") if r.ref == faulty.layer]
    assert ranges == [None, (HALF, ranges[1][1])]
    assert len(faulty.gets(faulty.layer)) == 2, "a signed URL is not used twice"


def test_a_redirect_loop_ends(davit, faulty):
    faulty.fault("blob", Redirect(lambda r: r.target), digest=faulty.layer)
    result = refuses(davit, faulty, {1, 6}, "--max-download-attempts", "2")
    assert "redirect" in result.error
    assert len(faulty.gets(faulty.layer)) <= 20


def test_a_redirect_loop_over_two_origins_ends(davit, faulty):
    faulty.fault("blob", Redirect(), digest=faulty.layer)
    faulty.fault("data", Redirect(lambda r: f"{r.registry.url}/v2/demo/web/blobs/{r.ref}"),
                 digest=faulty.layer)
    result = refuses(davit, faulty, {1, 6}, "--max-download-attempts", "2")
    assert "redirect" in result.error


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x",
                                "http://", "//", "http://127.0.0.1:99999/x", "",
                                "http://127.0.0.1/\r\nX-Injected: 1"])
def test_a_redirect_to_nonsense_is_refused(davit, faulty, to):
    """threat A6, A10"""
    faulty.fault("blob", Redirect(to), digest=faulty.layer)
    refuses(davit, faulty, {1, 5, 6}, "--max-download-attempts", "2")


def test_a_redirect_without_location_is_an_error(davit, faulty):
    faulty.fault("blob", Status(307), digest=faulty.layer)
    refuses(davit, faulty, {1, 6}, "--max-download-attempts", "2")


def test_https_is_never_left_for_http(davit, tls_faulty):
    """threat A3"""
    tls_faulty.fault("blob", Redirect(), digest=tls_faulty.layer)
    refuses(davit, tls_faulty, {1, 4, 6}, "--max-download-attempts", "2")
    assert tls_faulty.of("any", origin="second") == []


# ---- tokens --------------------------------------------------------------------------------------


def test_a_token_that_expires_in_mid_pull_is_renewed(davit, faulty):
    """quirks: GHCR renews at 401"""
    faulty.auth = Bearer(uses=3)
    pulls(davit, faulty)
    assert len(faulty.of("token")) >= 2


def test_a_token_that_is_never_good_is_not_asked_for_for_ever(davit, faulty):
    faulty.auth = Bearer(uses=0)
    refuses(davit, faulty, 4)
    assert len(faulty.of("token")) <= 4


def test_a_token_answer_of_100_mb_is_stopped(davit, faulty):
    """threat C1"""
    faulty.auth = Bearer()
    faulty.fault("token", Body(b'{"token":"' + b"x" * 100_000_000 + b'"}'))
    result = davit.measured(*FAST, "pull", faulty.ref)
    assert result.code in (1, 4, 6), str(result)
    assert_rss(result, 64)
    assert max(r.sent for r in faulty.of("token")) < 32 << 20


@pytest.mark.parametrize("kind", ["token", "manifest"])
def test_a_token_or_manifest_of_half_a_header_is_an_error(davit, faulty, kind):
    faulty.auth = Bearer()
    faulty.fault(kind, Raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Le"))
    refuses(davit, faulty, {1, 6}, "--max-download-attempts", "2")


# ---- framing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [TwoLengths(), LengthAndChunked(), FoldedHeader(), BadChunk()],
                         ids=lambda fault: type(fault).__name__)
def test_broken_framing_of_a_blob_is_refused(davit, faulty, fault):
    """threat C8"""
    faulty.fault("blob", fault, digest=faulty.layer)
    refuses(davit, faulty, {1, 5, 6}, "--max-download-attempts", "2")


@pytest.mark.parametrize("fault", [TwoLengths(), LengthAndChunked(), FoldedHeader(), BadChunk()],
                         ids=lambda fault: type(fault).__name__)
def test_broken_framing_of_a_manifest_is_refused(davit, faulty, fault):
    """threat C8"""
    faulty.fault("manifest", fault)
    refuses(davit, faulty, {1, 5, 6}, "--max-download-attempts", "2")


@pytest.mark.parametrize("fault", [
    BigHeaders(), AddHeaders([("X-Long", "l" * 17000)])], ids=["70-kB", "a-17-kB-line"])
def test_too_many_headers_are_refused(davit, faulty, fault):
    """threat C1"""
    faulty.fault("manifest", fault)
    refuses(davit, faulty, {1, 6}, "--max-download-attempts", "2")


def test_an_answer_that_is_not_http_is_refused(davit, faulty):
    faulty.fault("any", Raw(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n\r\n"))
    refuses(davit, faulty, {1, 6}, "--max-download-attempts", "2")


def test_a_blob_is_never_content_decoded(davit, faulty):
    """threat C5, quirks: Apache's x-gzip: the bytes on the wire are not the blob"""
    faulty.fault("blob", GzipCoded(), digest=faulty.layer)
    refuses(davit, faulty, {5, 6}, "--max-download-attempts", "2")


def test_a_blob_labelled_gzip_that_is_as_it_should_be_arrives(davit, faulty):
    """quirks: Apache and nginx in front"""
    faulty.fault("blob", Header("Content-Encoding", "x-gzip"), digest=faulty.layer)
    pulls(davit, faulty)


def test_a_config_coded_with_gzip_unasked_is_decoded_and_then_hashed(davit, faulty):
    """quirks: registry.redhat.io"""
    faulty.fault("blob", GzipCoded(), digest=faulty.image.config)
    pulls(davit, faulty)


def test_a_manifest_coded_with_gzip_unasked_is_decoded_and_then_hashed(davit, faulty):
    """quirks: registry.redhat.io"""
    faulty.fault("manifest", GzipCoded(), method="GET")
    pulls(davit, faulty)


def test_we_ask_for_identity(davit, faulty):
    """quirks: registry.redhat.io"""
    pulls(davit, faulty)
    assert {r.header("Accept-Encoding") for r in faulty.requests} <= {None, "identity"}


# ---- what a review found: each failed before it was mended -------------------------------------------


class Change(Action):
    """An answer changed by a function of request and response."""

    def __init__(self, change):
        self.change = change

    def after(self, request, response):
        self.change(request, response)
        return response


def test_a_redirect_whose_own_body_never_ends_is_left(davit, faulty):
    """threat C1, C9"""
    def endless(request, response):
        def forever():
            while True:
                yield b" " * 65536
        response.status, response.body, response.chunked = 307, forever(), True
        response.set("Location", f"{faulty.second_url}/data/{request.ref}")
    faulty.fault("blob", Change(endless), digest=faulty.layer)
    davit.run(*FAST, "pull", faulty.ref, timeout=20)
    assert max(r.sent for r in faulty.gets(faulty.layer)) < 64 << 20


def test_a_config_that_is_a_gzip_bomb_is_stopped(davit, faulty):
    """threat C5"""
    bomb = gzip.compress(b" " * (200 << 20), 6)

    def coded(_, response):
        response.body = bomb
        response.set("Content-Encoding", "gzip")
    faulty.fault("blob", Change(coded), digest=faulty.image.config)
    result = davit.measured(*FAST, "pull", faulty.ref)
    assert result.code == 5, str(result)
    assert_rss(result, 32)


def test_tags_without_end_do_not_fill_the_memory(davit, faulty):
    """threat C4"""
    def seven_megabytes(request, response):
        n = len(faulty.of("tags"))
        tags = ["t" * 1000000 + str(i) for i in range(7)]
        response.body = oci.dumps({"name": request.name, "tags": tags})
        response.set("Link", f'<{request.path}?last=t{n}&n=1>; rel="next"')
    faulty.fault("tags", Change(seven_megabytes))
    result = davit.measured(*FAST, "pull", "-a", faulty.ref.rpartition(":")[0], timeout=60)
    assert result.code == 1, str(result)[:500]
    assert_rss(result, 64)
    assert len(faulty.of("tags")) < 10


def test_a_moved_tag_is_pulled_though_its_manifest_is_gzipped(davit, faulty):
    """quirks: the length of a coded HEAD is not the manifest's"""
    davit(*FAST, "pull", faulty.ref)
    data, media_type = faulty.manifests[("demo/web", "1.0")][:2]
    moved = oci.dumps({**json.loads(bytes(data)), "annotations": {"x": "y" * 200}})
    faulty.add_manifest("demo/web", moved, media_type, "1.0")

    def coded(_, response):
        if response.status == 200:
            response.body = gzip.compress(bytes(response.body), mtime=0)
            response.set("Content-Encoding", "gzip")
    faulty.fault("manifest", Change(coded))
    result = davit(*FAST, "--progress", "plain", "pull", faulty.ref)
    assert b"Downloaded newer image" in result.err


def test_a_token_may_expire_twice_while_long_ranges_run(davit, small):
    with FaultyRegistry() as registry:
        serve(registry, small, "large")
        registry.auth = Bearer(uses=2)
        registry.fault("blob", Pace(rate=20e6), digest=registry.layer)
        davit(*FAST, "pull", registry.ref)
        davit.store.assert_exactly(registry.image.blobs)
        assert len(registry.of("token")) >= 3


@pytest.mark.parametrize("fault", [RangeRefused(416), RangeRefused(400), RangeIgnored(),
                                   RangeShifted()], ids=["416", "400", "200", "shifted"])
def test_ranges_that_stop_working_in_the_middle_cost_at_most_the_blob(davit, small, fault):
    with FaultyRegistry() as registry:
        serve(registry, small, "large")
        registry.fault("blob", Pace(rate=20e6), digest=registry.layer)
        for nth in (4, 5):
            registry.fault("blob", fault, digest=registry.layer, nth=nth)
        davit(*FAST, "pull", registry.ref, timeout=40)
        davit.store.assert_exactly(registry.image.blobs)
        assert registry.sent(registry.layer) <= 2 * registry.image.sizes[registry.layer]
