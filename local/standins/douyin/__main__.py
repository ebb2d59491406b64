"""``python -m local.standins.douyin --port N --data DIR``: serve the stand-in until told to stop."""

from local.standins.serving import parser, serve

from .app import build


def main() -> None:
    arguments = parser("local.standins.douyin", __doc__).parse_args()
    app = build(arguments.data)
    site = app.state.site
    serve(app, arguments, on_stop=site.stopping.set)
    site.store.close()


if __name__ == "__main__":
    main()
