"""The server of `tests.object_store`: moto's S3, which also accepts Google's API.

It prints its port, and serves one complete request after the other: so a conditional put is atomic,
as in a real store, an unfinished request blocks no other, and an unfinished put of a killed client
is never stored.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import create_backend_app
from waitress import create_server

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def _main() -> None:
    app = _of_google(create_backend_app("s3"))
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


if __name__ == "__main__":
    _main()
