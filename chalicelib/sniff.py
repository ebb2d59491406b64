"""What a file is, by its first bytes."""

from __future__ import annotations

# As much of a file as `sniff` wants to see.
SNIFF_BYTES = 64

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"FLV\x01", "video/x-flv"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"OggS", "Ogg"),
    (b"ID3", "MP3 audio"),
    (b"\x00\x00\x01\xba", "an MPEG programme stream"),
)
_RIFF = {b"AVI ": "video/x-msvideo", b"WEBP": "image/webp"}
_STILL_BRANDS = {b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis"}
_QUICKTIME_ATOMS = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}


def sniff(head: bytes) -> str:
    """The media type that the first SNIFF_BYTES show, or words for what else they are."""
    if not head:
        return "an empty file"
    by_signature = next((found for signature, found in _SIGNATURES if head.startswith(signature)), None)
    return by_signature or _container(head) or _text(head) or "of an unknown type"


def _container(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        return _iso_brand(head[8:12])
    if head[4:8] in _QUICKTIME_ATOMS:
        return "video/quicktime"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm" if b"webm" in head else "video/x-matroska"
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], "another RIFF file")
    return None


def _text(head: bytes) -> str | None:
    first = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if first == b"<":
        return "a web page or XML"
    return "JSON" if first in (b"{", b"[") else None


def _iso_brand(brand: bytes) -> str:
    if brand == b"qt  ":
        return "video/quicktime"
    if brand in _STILL_BRANDS:
        return "image/avif" if brand.startswith(b"avi") else "image/heic"
    if brand in (b"M4A ", b"M4B "):
        return "audio/mp4"
    return "video/mp4"
