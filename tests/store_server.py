"""The server of `tests.object_store`: moto's S3, which also accepts Google's API.

It prints its port, and serves one complete request after the other: so a conditional put is atomic,
as in a real store, an unfinished request blocks no other, and an unfinished put of a killed client
is never stored.
"""

import re
import sys
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import create_backend_app
from moto.s3.models import FakeKey, S3Backend, s3_backends
from waitress import create_server

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_LISTED = {"list-type", "prefix", "start-after", "delimiter", "max-keys"}
_PAGE = 1_000


def _main() -> None:
    app = _of_google(_reads(create_backend_app("s3")))
    server = create_server(app, host="127.0.0.1", port=0, threads=1, connection_limit=1_000)
    sys.stdout.write(f"{server.effective_port}\n")
    sys.stdout.flush()
    server.run()


def _of_google(app: App) -> App:
    """The same store, which also understands what Google's clients say otherwise: who they are, and
    that nothing must be there yet. All else they say as those of S3 do.
    """
    signed = "AWS4-HMAC-SHA256 Credential=basislake/20240101/us-east-1/s3/aws4_request"

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if not environ.get("HTTP_AUTHORIZATION", "").startswith("AWS"):
            environ["HTTP_AUTHORIZATION"] = f"{signed}, SignedHeaders=host, Signature=none"
        if environ.pop("HTTP_X_GOOG_IF_GENERATION_MATCH", None) == "0":
            environ["HTTP_IF_NONE_MATCH"] = "*"
        # As it was sent: moto decodes it itself.
        environ["RAW_URI"] = environ["REQUEST_URI"]
        return app(environ, start)

    return answer


def _reads(app: App) -> App:
    """The same store, which answers itself what comes by the hundred: an object that is there, and
    a list that fits on a page. That takes a twentieth of moto's time; all else is moto's to answer.
    """
    held = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"].encode("latin-1").decode()
        bucket, _, name = path.removeprefix("/").partition("/")
        if environ["REQUEST_METHOD"] == "GET" and bucket in held.buckets:
            query = parse_qs(environ["QUERY_STRING"])
            found = None
            if name and not query:
                found = _object(held, bucket, name, environ.get("HTTP_RANGE"))
            elif not name and "list-type" in query and query.keys() <= _LISTED:
                found = _list(held, bucket, {key: value for key, (value,) in query.items()})
            if found:
                status, headers, body = found
                start(status, [*headers, ("Content-Length", str(len(body)))])
                return [body]
        return app(environ, start)

    return answer


_Answer = tuple[str, list[tuple[str, str]], bytes]


def _object(held: S3Backend, bucket: str, name: str, part: str | None) -> _Answer | None:
    key = held.get_object(bucket, name)
    bounds = re.fullmatch(_RANGE, part) if part else None
    if key is None or (part and not bounds):
        return None
    body = key.value
    headers = [("ETag", key.etag), ("Last-Modified", key.last_modified_RFC1123)]
    if bounds is None:
        return "200 OK", headers, body
    first, last = int(bounds[1]), min(int(bounds[2]), len(body) - 1)
    if first > last:
        return None
    headers.append(("Content-Range", f"bytes {first}-{last}/{len(body)}"))
    return "206 Partial Content", headers, body[first : last + 1]


def _list(held: S3Backend, bucket: str, query: dict[str, str]) -> _Answer | None:
    prefix, delimiter = query.get("prefix"), query.get("delimiter")
    most = int(query.get("max-keys", _PAGE))
    found, is_cut, _ = held.list_objects_v2(
        held.get_bucket(bucket), prefix, delimiter, None, query.get("start-after"), most
    )
    if is_cut:
        return None
    parts = [_listed(each) for each in found]
    text = (
        f"<Name>{bucket}</Name><Prefix>{escape(prefix or '')}</Prefix><KeyCount>{len(parts)}"
        f"</KeyCount><MaxKeys>{most}</MaxKeys><IsTruncated>false</IsTruncated>"
    )
    space = "http://s3.amazonaws.com/doc/2006-03-01/"
    body = f'<ListBucketResult xmlns="{space}">{text}{"".join(parts)}</ListBucketResult>'
    return "200 OK", [("Content-Type", "application/xml")], body.encode()


def _listed(found: FakeKey | str) -> str:
    if isinstance(found, str):
        return f"<CommonPrefixes><Prefix>{escape(found)}</Prefix></CommonPrefixes>"
    return (
        f"<Contents><Key>{escape(found.name)}</Key><LastModified>{found.last_modified_ISO8601}"
        f"</LastModified><ETag>{escape(found.etag)}</ETag><Size>{found.size}</Size>"
        f"<StorageClass>{found.storage_class}</StorageClass></Contents>"
    )


if __name__ == "__main__":
    _main()
