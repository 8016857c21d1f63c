"""The push side of the scripted registry: uploads, manifests that are put and deleted, tags deleted,
referrers. FaultyRegistry has it; what can go wrong with it is in support.faults.

What a request brings counts as received even when the answer says no; what a session holds is its
true offset, also of a PATCH that was cut:

    reg.sessions                 every upload session that was opened, by its id
    reg.received(digest=None)    bytes of bodies that came, for one blob (sessions that were lost are
                                 told by their first bytes) or for all
    reg.wait_received(size)      until so many came
    reg.separate = True          a blob belongs to the repositories that it was pushed to, mounted or
                                 hold()-en in; else every repository has it
    reg.check_manifests, .delete_enabled, .tag_delete, .referrers_api, .chunk_min   as they say
"""
import hashlib
import json
import re
import secrets
from dataclasses import dataclass, field

from support import oci
from support.faults import Response, error

UPLOAD = re.compile(r"^/v2/(?P<name>.+)/blobs/uploads/(?P<ref>[^/]*)$")
REFERRERS = re.compile(r"^/v2/(?P<name>.+)/referrers/(?P<ref>[^/]+)$")
CONTENT_RANGE = re.compile(r"(\d+)-(\d+)")
INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass
class Session:
    """One upload that was opened."""
    name: str
    id: str
    data: bytearray = field(default_factory=bytearray)
    received: int = 0            # bytes of bodies, also those that were not kept
    digest: str = None           # once a PUT named it
    state: int = 0               # in its URL, another one after each request
    short: bool = False          # it had a piece below chunk_min: nothing may follow
    open: bool = True


class Uploads:
    """What FaultyRegistry inherits."""

    def __init__(self):
        self.sessions = {}
        self.held = {}               # name: digests
        self.separate = False
        self.check_manifests = True
        self.delete_enabled = True
        self.tag_delete = True
        self.referrers_api = True
        self.chunk_min = None
        self.upload_bytes = 0

    # what was seen

    def hold(self, name, *digests):
        """These blobs are in a repository (which matters when they are separate)."""
        self.held.setdefault(name, set()).update(digests)

    def holds(self, name, digest):
        return digest in self.blobs and (not self.separate or digest in self.held.get(name, ()))

    def received(self, digest=None):
        with self.changed:
            return sum(s.received for s in self.sessions.values()
                       if digest is None or self._is_of(s, digest))

    def _is_of(self, session, digest):
        if session.digest or digest not in self.blobs:
            return session.digest == digest
        head = bytes(session.data[:4096])
        return bool(head) and bytes(self.blobs[digest][:len(head)]) == head

    def wait_received(self, size, timeout=20):
        """Until so many bytes of uploads came."""
        self.wait(lambda: self.upload_bytes >= size, timeout)

    # answers

    def classify_upload(self, request, path):
        """True for what is answered here."""
        found = UPLOAD.match(path)
        if found:
            request.kind, request.name, request.ref = "upload", found["name"], found["ref"]
            return True
        found = REFERRERS.match(path)
        if found:
            request.kind, request.name, request.ref = "referrers", found["name"], found["ref"]
        return bool(found)

    def _upload(self, request):
        if request.method == "POST":
            return self._open(request)
        session = self.sessions.get(request.ref)
        if not session or not session.open or session.name != request.name or request.vanished:
            if session:
                session.open = False
            return error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        if request.method == "PATCH":
            return self._patch(request, session)
        if request.method == "PUT":
            return self._finish(request, session)
        if request.method == "DELETE":
            session.open = False
            return Response(204)
        return self._at(session, 204)

    def _open(self, request):
        blob, source = (request.query.get(k, [None])[0] for k in ("mount", "from"))
        if blob and source and self.holds(source, blob) and not request.declined:
            self.hold(request.name, blob)
            return self._stored(request.name, blob)
        session = Session(request.name, secrets.token_hex(8))
        with self.changed:
            self.sessions[session.id] = session
        if "digest" in request.query:
            return self._finish(request, session)
        return self._at(session, 202)

    def _take(self, request, session):
        """Its body, into the session as it comes."""
        for piece in request.stream():
            with self.changed:
                session.received += len(piece)
                session.data += piece

    def _patch(self, request, session):
        at = len(session.data)
        told = request.header("Content-Range")
        if told is not None:
            found = CONTENT_RANGE.fullmatch(told)
            if not found:
                return error(400, "BLOB_UPLOAD_INVALID", f"Content-Range {told!r}")
            if int(found[1]) != at or session.short:
                return self._at(session, 416)
        self._take(request, session)
        session.short = bool(self.chunk_min and len(session.data) - at < self.chunk_min)
        return self._at(session, 202)

    def _finish(self, request, session):
        session.digest = request.query.get("digest", [None])[0]
        self._take(request, session)
        if not session.digest:
            return error(400, "DIGEST_INVALID", "no digest")
        session.open = False
        algorithm, _, encoded = session.digest.partition(":")
        data = bytes(session.data)
        if hashlib.new(algorithm, data).hexdigest() != encoded:
            return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        self.blobs[session.digest] = data
        self.hold(session.name, session.digest)
        return self._stored(session.name, session.digest)

    @staticmethod
    def _stored(name, digest):
        return Response(201, [("Location", f"/v2/{name}/blobs/{digest}"),
                              ("Docker-Content-Digest", digest)])

    def _at(self, session, status):
        session.state += 1
        headers = [("Location", f"/v2/{session.name}/blobs/uploads/{session.id}"
                                f"?_state=s3cret-{session.state}&b=%2F"),
                   ("Range", f"0-{max(len(session.data) - 1, 0)}"),
                   ("Docker-Upload-UUID", session.id)]
        if self.chunk_min and status == 202:
            headers.append(("OCI-Chunk-Min-Length", str(self.chunk_min)))
        return Response(status, headers)

    def _delete_blob(self, request):
        if not self.delete_enabled:
            return error(405, "UNSUPPORTED", "The operation is unsupported.")
        if not self.holds(request.name, request.ref):
            return error(404, "BLOB_UNKNOWN", "blob unknown to registry")
        if self.separate:
            self.held[request.name].discard(request.ref)
        else:
            del self.blobs[request.ref]
        return Response(202)

    # manifests

    def _missing(self, name, document):
        """A descriptor that a manifest names and that is not there, or None."""
        for child in document.get("manifests") or []:
            if (name, child["digest"]) not in self.manifests:
                return child["digest"]
        for blob in [*(document.get("layers") or []), document.get("config")]:
            if blob and not blob.get("urls") and not self.holds(name, blob["digest"]):
                return blob["digest"]
        return None

    def _put_manifest(self, request):
        data, name, ref = request.body, request.name, request.ref
        digest = oci.sha256(data)
        try:
            document = json.loads(data)
        except ValueError:
            return error(400, "MANIFEST_INVALID", "manifest invalid")
        if ":" in ref and ref != digest:
            return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        missing = self.check_manifests and self._missing(name, document)
        if missing:
            return error(400, "MANIFEST_BLOB_UNKNOWN", f"blob unknown to registry: {missing}")
        stored = (data, request.header("Content-Type"))
        self.manifests[(name, digest)] = stored
        self.tags.setdefault(name, [])
        if ":" not in ref:
            self.manifests[(name, ref)] = stored
            self.tags[name] = [*(t for t in self.tags[name] if t != ref), ref]
        headers = [("Location", f"/v2/{name}/manifests/{digest}"),
                   ("Docker-Content-Digest", digest)]
        if document.get("subject") and self.referrers_api:
            headers.append(("OCI-Subject", document["subject"]["digest"]))
        return Response(201, headers)

    def _delete_manifest(self, request):
        name, ref = request.name, request.ref
        found = self.manifests.get((name, ref))
        by_tag = ":" not in ref
        if not self.delete_enabled or (by_tag and not self.tag_delete):
            return error(405, "UNSUPPORTED", "The operation is unsupported.")
        if not found:
            return error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        gone = [ref] if by_tag else [r for n, r in self.manifests
                                     if n == name and self.manifests[(n, r)] == found]
        for r in gone:
            del self.manifests[(name, r)]
        self.tags[name] = [t for t in self.tags.get(name, []) if t not in gone]
        return Response(202)

    def _referrers(self, request):
        if not self.referrers_api:
            return error(404, "UNSUPPORTED", "no such page")
        entries = []
        for (name, ref), (data, media_type) in sorted(self.manifests.items()):
            document = json.loads(data) if name == request.name and ":" in ref else {}
            if (document.get("subject") or {}).get("digest") != request.ref:
                continue
            kind = document.get("artifactType") or document.get("config", {}).get("mediaType")
            entry = {"mediaType": media_type, "digest": ref, "size": len(data),
                     "artifactType": kind}
            if document.get("annotations"):
                entry["annotations"] = document["annotations"]
            entries.append(entry)
        headers = [("Content-Type", INDEX)]
        wanted = request.query.get("artifactType", [None])[0]
        if wanted:
            entries = [e for e in entries if e["artifactType"] == wanted]
            headers.append(("OCI-Filters-Applied", "artifactType"))
        first = int(request.query.get("from", ["0"])[0])
        size = self.page_size or len(entries) or 1
        if len(entries) > first + size:
            more = f"&artifactType={wanted}" if wanted else ""
            headers.append(("Link", f'<{request.path}?from={first + size}{more}>; rel="next"'))
        return Response(200, headers, oci.dumps({"schemaVersion": 2, "mediaType": INDEX,
                                                 "manifests": entries[first:first + size]}))
