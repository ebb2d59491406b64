"""The errors of Volcengine's gateway: code, number and HTTP status as its public pages list them."""

from __future__ import annotations

_SPEED = "Request was rejected because the request speed of this"
_BEYOND = "is beyond the current flow control limit."
_CHECK_HEADER = "Pls check your authorization header."
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your Secret Access "
    "Key and signing method. Consult the service documentation for details."
)
_SECRET = "STOP: the request carries a SecretKey header. The key never leaves the signer. Rotate it."

# Code: (CodeN, HTTP status, message)
ERRORS: dict[str, tuple[int, int, str]] = {
    "MissingParameter": (100002, 400, "The request is missing a required parameter."),
    "MissingAuthenticationToken": (100003, 401, "Request is missing an authentication token."),
    "MissingRequestInfo": (100004, 400, "The request is missing request information."),
    "MissingSignature": (100005, 401, "The Authorization header carries no Signature."),
    "InvalidTimestamp": (100006, 403, "X-Date is malformed or over 900 seconds away from the server's time."),
    "ServiceNotFound": (100007, 404, "The service of the credential scope could not be found."),
    "InvalidActionOrVersion": (100008, 404, "Could not find operation for this Action and Version."),
    "InvalidAccessKey": (100009, 401, "The security token included in the request is invalid."),
    "SignatureDoesNotMatch": (100010, 401, _MISMATCH),
    "LackPolicy": (100012, 403, "The sub-user lacks the policy TorchlightApiFullAccess."),
    "AccessDenied": (100013, 403, "User is not authorized to perform this action on this resource."),
    "InternalError": (100014, 500, "Internal error. Please try again later."),
    "FlowLimitExceeded": (100018, 429, f"{_SPEED} openAPI {_BEYOND}"),
    "InvalidAuthorization": (100024, 400, f"Invalid 'Authorization' header, {_CHECK_HEADER}"),
    "InvalidCredential": (100025, 400, f"Invalid credential in 'Authorization', {_CHECK_HEADER}"),
    "AccountFlowLimitExceeded": (100027, 400, f"{_SPEED} account {_BEYOND}"),
    # Not the service's: nobody may send the key that everything hangs on, so the stand-in makes it loud.
    "SecretKeySent": (199999, 400, _SECRET),
}


class ApiError(Exception):
    """An answer of the gateway or the service. `detail` is appended to the code's message; `status` replaces
    the code's own."""

    def __init__(self, code: str, detail: str = "", *, status: int | None = None) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.status = status

    @property
    def http_status(self) -> int:
        return self.status or ERRORS[self.code][1]

    def to_dict(self) -> dict[str, object]:
        number, _, message = ERRORS[self.code]
        return {"CodeN": number, "Code": self.code, "Message": f"{message} {self.detail}".strip()}
