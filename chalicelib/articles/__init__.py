"""The content sync: licensed articles from Volcengine's 内容定制 output API into a change log in S3.

    signer      HMAC-SHA256 request signature
    client      the API's two actions, paced, retried and classified
    sync        one turn over all channels: rechecks, scans, backfills, alarms
    scan        one run: pages in cursor order
    recheck     one run: what is due is asked for again
    log         a channel's one writer: rows written, committed, indexed
    changelog   rows and objects of the append-only log
    state       a scan's cursor, moved by conditional writes only
    index       what the log holds, by article, and what is to be done next
    exact       JSON whose numbers keep their digits
    compaction  the small objects of a day into few
    checks      when an article is looked at again
    purge       takes withdrawn content out of the log
    health      alarms and metric of a cursor that falls behind
    runs        what each run did
    reader      what the lake holds

Nothing is imported here, so that reading the lake does not pay for the client's imports.
"""
