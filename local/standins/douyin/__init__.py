"""A stand-in of Douyin's creator site (创作者中心), for one machine.

A real browser logs in, uploads and publishes here as on the real site. Texts, placeholders, roles, class
prefixes, hidden inputs and quirks follow pages captured between May and September 2026; what no capture shows
is chosen the way Semi Design, the site's component library, does it.

Start it with ``python -m local.standins.douyin --port N --data DIR``.
"""
