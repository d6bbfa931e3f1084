"""The workspace's errors, as the official clients expect them: an error code, an HTTP status, a message."""


class ApiError(Exception):
    """Answered as `{"error_code", "message"}`. The SDK picks its exception by the code first, then by the status."""

    def __init__(self, error_code: str, message: str, status: int = 400, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.error_code = error_code
        self.message = message
        self.status = status
        self.headers = headers or {}


def invalid(message: str) -> ApiError:
    """A parameter that cannot be used."""
    return ApiError("INVALID_PARAMETER_VALUE", message)


def malformed(message: str) -> ApiError:
    """A request that cannot be understood."""
    return ApiError("MALFORMED_REQUEST", message)


def missing(message: str) -> ApiError:
    """Something named does not exist."""
    return ApiError("RESOURCE_DOES_NOT_EXIST", message, 404)


def conflict(message: str) -> ApiError:
    """Something of that name exists."""
    return ApiError("RESOURCE_ALREADY_EXISTS", message)


def not_implemented(message: str) -> ApiError:
    """What this workspace does not serve (yet)."""
    return ApiError("NOT_IMPLEMENTED", message, 501)
