"""Zip files on their way to FastLabel: a signed URL is asked for, the file is streamed to it, its key goes on."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urljoin

import requests

from fastlabel_dagster.api.answers import Again, Failure, failed_answer, failed_connection, message_in
from fastlabel_dagster.api.download import place_of
from fastlabel_dagster.api.errors import ServerError, Unauthorized
from fastlabel_dagster.api.file_rules import FileRule
from fastlabel_dagster.api.streamed import form_body
from fastlabel_dagster.api.transport import MOST_REDIRECTS, NoToken, Transport


def upload_zip(transport: Transport, project: str, file_path: str | os.PathLike[str], rule: FileRule) -> str:
    """Upload a zip for a project, and return the key under which a later request names it.

    The file goes out as a form, as the official SDK sends it, but read from disk piece by piece. A broken upload
    begins again from its start.

    Raises:
        Invalid: (422) when the rule refuses the file; nothing is sent then.
        Unauthorized: when the storage refuses the upload, because its URL has expired for instance.
        FastLabelError: any other failure. Nothing is created from a file that did not arrive.
    """
    rule.check(file_path)
    path = Path(file_path)
    query = {"project": project, "fileName": path.name, "fileType": "application/zip"}
    signed = transport.call("GET", "files", query=query)
    if not isinstance(signed, dict) or not signed.get("url") or not signed.get("name"):
        raise ServerError("the answer holds no address to upload to", method="GET", path="files")
    put_form(transport, str(signed["url"]), path)
    return str(signed["name"])


def put_form(transport: Transport, url: str, path: Path) -> None:
    """PUT a file to a signed URL as multipart/form-data, without the token, and see that it was taken.

    Raises:
        FastLabelError: when it was not, after the tries that the retry policy allows.
    """
    where = place_of(url)
    transport.persist(lambda: _send(transport, url, where, path), "PUT", where)


def _send(transport: Transport, url: str, where: str, path: Path) -> Failure | None:
    """One try: None when the storage has taken the file."""
    for _ in range(MOST_REDIRECTS):
        body, content_type = form_body(path)
        transport.counter.add(bytes_sent=len(body))
        try:
            response = transport.session.put(
                url,
                data=body,
                headers={"Content-Type": content_type},
                auth=NoToken(),
                timeout=transport.timeout,
                allow_redirects=False,
            )
            said = message_in(response)
        except requests.RequestException as error:
            return failed_connection(error, "PUT", where)
        if not (response.is_redirect and response.status_code in (307, 308)):
            break
        url = urljoin(url, response.headers["Location"])  # a bucket in another region answers like this
        place_of(url)  # http(s) only
    status = response.status_code
    if 200 <= status < 300:
        return None
    if status in (401, 403):
        hint = "a signed URL lives only for a while, and takes only what it was signed for"
        return Failure(Unauthorized(said, status=status, method="PUT", path=where, hint=hint), Again.NEVER)
    wait = transport.retry.begin().seconds_in(response.headers.get("Retry-After"))
    # Storage services answer 500 for passing trouble, and the same file once more does no harm.
    return failed_answer(
        response,
        method="PUT",
        path=where,
        message=said,
        retry_after=wait,
        repeatable=transport.retry.statuses | {500},
    )
