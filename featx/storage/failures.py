"""Failures of stores elsewhere, each told in a line: what was asked, and what to do."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from featx.errors import FeatxError, StorageError, one_line
from featx.storage.address import bucket_of, is_on_web, scheme_of
from featx.storage.deadline import check_silent, note_answer, note_failure

_CREDENTIALS = {
    "s3": "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; a public bucket needs "
    "none with FSSPEC_S3_ANON=true",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY, or "
    "AZURE_STORAGE_CONNECTION_STRING",
}
_ENDPOINTS = {"s3": "AWS_ENDPOINT_URL", "gs": "STORAGE_EMULATOR_HOST"}
_SAME = {"gcs": "gs", "abfs": "az", "abfss": "az"}

# Codes of stores and names of errors, by what they say.
_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound", "InvalidBucketName", "InvalidResourceName"}
_NO_CREDENTIALS = {
    *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"),
    *("ProfileNotFound", "TokenRetrievalError", "SSOTokenLoadError", "UnauthorizedSSOTokenError"),
    *("DefaultCredentialsError", "RefreshError"),
    *("CredentialUnavailableError", "ClientAuthenticationError"),
}
_DENIED = {
    *("PermissionError", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
    *("ExpiredToken", "InvalidToken", "TokenRefreshRequired"),
    *("AuthorizationFailure", "AuthenticationFailed"),
    *("401", "403", "Forbidden"),
}
_OTHER_REGION = {
    *("PermanentRedirect", "301"),
    *("AuthorizationHeaderMalformed", "IllegalLocationConstraintException"),
}
_NO_NETWORK = {
    *("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ProxyConnectionError"),
    *("ConnectionClosedError", "HTTPClientError", "SSLError", "InvalidEndpointURL"),
    *("ClientConnectorError", "ClientConnectionError", "ServerDisconnectedError", "InvalidURL"),
    *("TransportError", "ServiceRequestError", "ServiceResponseError"),
    *("ConnectionError", "TimeoutError", "FSTimeoutError", "gaierror"),
}


@contextmanager
def explained(address: str, doing: str = "read") -> Iterator[None]:
    """Turn whatever a store's library raises in the block into a `StorageError` of one line.

    An object that is not there stays a `FileNotFoundError`, unless there is no bucket; to list or
    to write needs no object, and so it is the bucket that is not there. A store that has not
    answered anybody for long is not asked again for a while.
    """
    began = time.monotonic()
    try:
        check_silent(address)
        yield
        note_answer(address)
    except FeatxError:
        raise
    except Exception as error:  # of five libraries
        marks = _marks(error)
        if isinstance(error, FileNotFoundError):
            note_answer(address)
            if doing not in ("list", "write") and not marks & _NO_BUCKET:
                raise FileNotFoundError(2, "no such object", address) from error
            raise no_bucket(address, doing) from error
        note_failure(address, began, error)
        refused = StorageError(f"cannot {doing} {address}: {_reason(error, marks, address)}")
        refused.errno = errno.EACCES if marks & _DENIED else None
        raise refused from error


def no_bucket(address: str, doing: str = "read") -> StorageError:
    """Return the error of a bucket that is not there."""
    return StorageError(f"cannot {doing} {address}: {_no_bucket(address)}")


def _reason(error: Exception, marks: set[str], address: str) -> str:
    scheme = scheme_of(address)
    scheme = _SAME.get(scheme, scheme)
    endpoint = _ENDPOINTS.get(scheme)
    said = re.sub(r"^\[Errno \d+\] | (RequestId|ErrorCode):.*", "", one_line(error))
    if marks & _NO_BUCKET:
        return _no_bucket(address)
    if scheme == "az" and "account_name" in str(error):
        return f"no account is named; {_CREDENTIALS[scheme]}"
    if marks & _NO_CREDENTIALS or "Connection string is" in said:
        advice = _CREDENTIALS.get(scheme, "check who may read it")
        return f"no credentials that work ({said}); {advice}"
    if scheme == "s3" and marks & _OTHER_REGION:
        return f"the bucket is in another region ({said}); check AWS_DEFAULT_REGION and {endpoint}"
    if marks & _DENIED or str(error).startswith("Forbidden"):
        if is_on_web(address):
            return "access denied; expected an address that anybody may read"
        return f"access denied ({said}); check the credentials and what they allow"
    if marks & _NO_NETWORK or any(mark.endswith("ConnectorError") for mark in marks):
        where = f"the network and {endpoint}" if endpoint else "the network and the address"
        return f"no connection ({said}); check {where}"
    if endpoint and said.startswith("Invalid endpoint"):
        return f"{said}; expected a whole address in {endpoint}, https://host"
    return said


def _no_bucket(address: str) -> str:
    what = "container" if scheme_of(address) in ("az", "abfs", "abfss") else "bucket"
    return f"there is no {what} {bucket_of(address)!r}; check its name"


def _marks(error: BaseException) -> set[str]:
    """Collect the names of an error and of those behind it, and the codes that they carry."""
    marks = set[str]()
    seen = 0
    current: BaseException | None = error
    while current is not None and seen < 8:
        marks |= {each.__name__ for each in type(current).__mro__}
        response = getattr(current, "response", None)
        if isinstance(response, dict):
            marks.add(str(response.get("Error", {}).get("Code")))
        code = "status" if hasattr(current, "status") else "code"  # aiohttp warns of its `code`
        for name in ("error_code", code):
            value = getattr(current, name, "")
            marks.add(str(getattr(value, "value", value)))  # Azure's are of an enumeration
        current, seen = current.__cause__ or current.__context__, seen + 1
    return marks
