"""A stand-in for Volcengine's 内容定制 output API, for runs and tests on one machine.

It follows the reference page of the API and Volcengine's common signing text, and checks every signature with
code of its own: it shares nothing with the client that it is there to prove. What the reference leaves open is
decided here and marked as such.

    python -m local.standins.volcengine --port 0 --data DIR

    POST /?Action=ScanSyncArticles&Version=2023-01-01     the API
    POST /?Action=MGetSyncArticles&Version=2023-01-01
    GET  /media/…                                         pictures and videos, with --media-origin
    GET  /admin/articles                                  the truth, in order of sync
    POST /admin/articles {"count": 5}                     sync more
    POST /admin/articles/{id}/takedown · unavailable · available
    POST /admin/articles/{id}/change {"title": "…"}       edit one; without a title it gets a mark
    POST · GET · DELETE /admin/faults                     {"kind": "throttle429", "count": 3}, see faults.py
    POST /admin/notifications {"url", "group_ids"}        push a signed 内容变更通知; tells what came back
    GET  /admin/requests                                  counts since the start

The admin routes are not signed. The server listens on loopback only.
"""
