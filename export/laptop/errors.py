"""Errors with the codes that TensorFlow Serving gives, for REST and gRPC."""

import grpc

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_HTTP = {
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
    "UNAUTHENTICATED": 401,
}


class RequestError(Exception):
    """Why a request is refused.

    Attributes:
        code: A `grpc.StatusCode`.
        message: What the client is told.

    Args:
        code: Name of the code, such as `"INVALID_ARGUMENT"`, or its number.
        message: What the client is told.
    """

    def __init__(self, code, message):
        super().__init__(message)
        self.code = grpc.StatusCode[code] if isinstance(code, str) else _CODES.get(code, grpc.StatusCode.UNKNOWN)
        self.message = str(message)

    @property
    def http_status(self):
        """The HTTP status that the code becomes."""
        return _HTTP[self.code.name]


def invalid(message):
    """A `RequestError` of the commonest code, INVALID_ARGUMENT."""
    return RequestError("INVALID_ARGUMENT", message)
