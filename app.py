"""Entry point: what Chalice serves and schedules."""

from chalice.app import Chalice

from chalicelib.api import (
    accounts,
    articles,
    evidence,
    keys,
    logins,
    meta,
    sessions,
    sync,
    tasks,
    uploads,
    webhooks,
)
from chalicelib.api.edge import edge
from chalicelib.delivering import delivering
from chalicelib.jobs import jobs

app = Chalice(app_name="social-publisher", configure_logs=False)
app.register_middleware(edge(meta.operations()), "http")
for resource in (tasks, evidence, uploads, accounts, sessions, logins, articles, sync, webhooks, keys, meta):
    app.register_blueprint(resource.routes)
app.register_blueprint(jobs)
app.register_blueprint(delivering)
