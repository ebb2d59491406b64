"""The content sync: licensed articles from Volcengine's 内容定制 output API into a change log in S3.

    signer      HMAC-SHA256 request signature
    client      the API's two actions, paced, retried and classified
    scan        one run: pages in cursor order, written, then committed
    changelog   rows and objects of the append-only log
    state       a channel's cursor, moved by conditional writes only
    runs        what each run did
    reader      what the lake holds

Nothing is imported here, so that reading the lake does not pay for the client's imports.
"""
