"""What boto3 raises, as this package says it: one sentence, the uri, what to do, no credential."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from fastlabel_dagster.store.errors import StoreError, missing

_NO_OBJECT = {"NoSuchKey", "404", "NotFound", "NoSuchVersion"}
_REGION = "the bucket is in another region; name it (AWS_REGION, or S3Options(region=…))"
_SENTENCES = {
    "NoSuchBucket": "there is no such bucket; create it, or check the name and the endpoint",
    "AccessDenied": "access denied; the credentials need s3:GetObject, PutObject, DeleteObject and ListBucket there",
    "AllAccessDisabled": "access denied; the bucket is disabled",
    "InvalidAccessKeyId": "the access key is unknown to the server; check AWS_ACCESS_KEY_ID or the profile",
    "SignatureDoesNotMatch": "the secret key does not fit the access key; check AWS_SECRET_ACCESS_KEY or the profile",
    "ExpiredToken": "the session has expired; log in again",
    "InvalidToken": "the session token is not valid; log in again",
    "RequestTimeTooSkewed": "the clock of this machine differs too much from the server's; set it",
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "SlowDown": "the server asks for fewer requests, and still did after several tries; try again later",
    "ServiceUnavailable": "the server is overloaded, and still was after several tries; try again later",
    "InternalError": "the server failed, and did again after several tries; try again later",
    "QuotaExceeded": "the server's quota is used up; free some space",
    "XMinioStorageFull": "the server's disk is full; free some space",
    "KeyTooLongError": "the path is too long for S3 (1,024 bytes with the prefix); choose a shorter one",
}
_SAME = {
    "403": "AccessDenied",
    "Forbidden": "AccessDenied",
    "301": "PermanentRedirect",
    "ExpiredTokenException": "ExpiredToken",
    "503": "ServiceUnavailable",
    "500": "InternalError",
}


@contextmanager
def s3_said_plainly(uri: str, endpoint: str = "") -> Iterator[None]:
    """Turn an error of boto3 into a ``StoreError``, or a ``FileNotFoundError`` for a missing object, naming ``uri``."""
    import botocore.exceptions as boto

    try:
        yield
    except boto.ClientError as error:
        raise _refused(error, uri) from error
    except (boto.NoCredentialsError, boto.PartialCredentialsError):
        raise StoreError(
            f"cannot use {uri}: no complete AWS credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "choose a profile, or give the machine a role",
            uri,
        ) from None
    except (boto.ProfileNotFound, boto.ConfigParseError, boto.InvalidConfigError) as error:
        raise StoreError(f"cannot use {uri}: {_sentence(error)}; check the AWS configuration files", uri) from error
    except (boto.SSOError, boto.CredentialRetrievalError, boto.MetadataRetrievalError) as error:
        raise StoreError(
            f"cannot use {uri}: no credentials could be fetched; log in again (aws sso login)", uri
        ) from error
    except (boto.HTTPClientError, boto.ConnectionError) as error:
        # Not chained: what the HTTP library says can quote a header, and with it a session token.
        server = f"the S3 server at {endpoint}" if endpoint else "the S3 server"
        reason = "answers with no valid certificate" if isinstance(error, boto.SSLError) else "cannot be reached"
        raise StoreError(
            f"cannot use {uri}: {server} {reason} ({type(error).__name__}); check the network and AWS_ENDPOINT_URL",
            uri,
        ) from None
    except (boto.ParamValidationError, boto.BotoCoreError, ValueError) as error:
        raise StoreError(
            f"cannot use {uri}: {_sentence(error)}; check the bucket, the region and the endpoint", uri
        ) from None


def is_missing(error: BaseException) -> bool:
    """Whether an error of boto3 says that the object is not there (not: that the bucket is not)."""
    response = getattr(error, "response", None)
    return isinstance(response, dict) and response.get("Error", {}).get("Code") in _NO_OBJECT


def error_code(error: BaseException) -> str:
    """The code of a ``ClientError`` such as ``AccessDenied``, or ``""``."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def refusal(code: str, uri: str, message: str = "") -> StoreError:
    """The error for a code the server gave, with its own words where the code is not a familiar one."""
    sentence = _SENTENCES.get(_SAME.get(code, code))
    if sentence is None:
        sentence = f"the server refused ({code}{': ' + message.strip().rstrip('.') if message.strip() else ''})"
    return StoreError(f"cannot use {uri}: {sentence}", uri)


def _refused(error: BaseException, uri: str) -> OSError:
    if is_missing(error):
        return missing(uri)
    details = getattr(error, "response", {}).get("Error", {})
    return refusal(str(details.get("Code", "")), uri, str(details.get("Message", "")))


def _sentence(error: BaseException) -> str:
    return re.sub(r"//[^/@\s]*@", "//", " ".join(str(error).split())).rstrip(".")
