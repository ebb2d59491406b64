"""Entry point: what Chalice serves and schedules."""

from chalice.app import Chalice

from chalicelib.api import accounts, articles, evidence, logins, meta, sessions, sync, tasks, uploads, webhooks
from chalicelib.api.edge import edge_middleware
from chalicelib.delivering import delivering
from chalicelib.jobs import jobs

app = Chalice(app_name="social-publisher", configure_logs=False)
app.register_middleware(edge_middleware, "http")
for resource in (tasks, evidence, uploads, accounts, sessions, logins, articles, sync, webhooks, meta):
    app.register_blueprint(resource.routes)
app.register_blueprint(jobs)
app.register_blueprint(delivering)
