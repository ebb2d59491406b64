"""`python -m local.standins.volcengine --port N --data DIR`: serves the stand-in until it is told to stop."""

from __future__ import annotations

from datetime import UTC, datetime

from local.standins.serving import parser, serve
from local.standins.volcengine.app import build_app
from local.standins.volcengine.catalogue import Catalogue
from local.standins.volcengine.signature import Account


def main() -> None:
    options = parser("local.standins.volcengine", __doc__)
    options.add_argument("--access-key", default="local-access-key")
    options.add_argument("--secret-key", default="local-secret-key")
    options.add_argument("--session-token", help="every request must carry it")
    options.add_argument("--callback-secret", default="local-callback-secret", help="signs notifications")
    options.add_argument("--utm-source", default="local_default_content", help="the account's one channel")
    options.add_argument("--media-origin", metavar="URL", help="of this stand-in: the articles' media lie here")
    options.add_argument("--articles", type=int, default=95, help="made when DIR is still empty")
    arguments = options.parse_args()
    catalogue = Catalogue(
        arguments.data,
        utm_source=arguments.utm_source,
        count=arguments.articles,
        now=datetime.now(UTC),
        media_origin=arguments.media_origin,
    )
    account = Account(
        arguments.access_key, arguments.secret_key, arguments.session_token, arguments.callback_secret
    )
    serve(build_app(catalogue, account), arguments, date_header=False)


if __name__ == "__main__":
    main()
