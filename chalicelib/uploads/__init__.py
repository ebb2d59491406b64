"""Media that callers hand to us themselves, by a presigned PUT into the private bucket.

Nothing is kept of an upload but the object: its size, type and checksum are the signature's, so what stands
there is what was announced. `uploads/<id>/media` is the file; `uploads/<id>/task` names the one task that it
serves. Both expire by the bucket's lifecycle rule.
"""
