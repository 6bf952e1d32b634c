"""One connection to S3, made when first used and shared by all stores and folders that came from one `open_store`."""

from __future__ import annotations

import os
import re
import threading
from typing import Any

from fastlabel_dagster.store.errors import StoreError
from fastlabel_dagster.store.interface import S3Options
from fastlabel_dagster.store.s3_errors import s3_said_plainly
from fastlabel_dagster.store.transfers import WORKERS

_AMAZON = re.compile(r"https://s3[a-z0-9.-]*\.amazonaws\.com(\.cn)?")


class S3Connection:
    """boto3's client and session behind one set of options. Thread-safe. Holds no credential of its own."""

    def __init__(self, bucket: str, options: S3Options) -> None:
        self.bucket = bucket
        self.options = options
        self._lock = threading.Lock()
        self._client: Any = None
        self._session: Any = None
        self._region: str | None = None

    def __repr__(self) -> str:
        return f"S3Connection({self.bucket!r})"

    @property
    def client(self) -> Any:
        """boto3's S3 client. Raises StoreError for a profile that does not exist and the like."""
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._connect()
        return self._client

    @property
    def endpoint(self) -> str:
        """The server's URL, or ``""`` while there is no connection. Shown to people, so without user names."""
        url = str(self._client.meta.endpoint_url) if self._client is not None else self.options.endpoint_url or ""
        return re.sub(r"//[^/@]*@", "//", url)

    def _connect(self) -> None:
        import boto3
        from botocore.config import Config

        # Retries, addressing style and the like stay with boto3's own configuration (AWS_MAX_ATTEMPTS and friends).
        # Checksums beyond Content-MD5 only where S3 demands them: other servers do not know all of them.
        config = Config(
            connect_timeout=10,
            read_timeout=60,
            max_pool_connections=2 * WORKERS,
            tcp_keepalive=True,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        with s3_said_plainly(f"s3://{self.bucket}"):
            session = boto3.session.Session(profile_name=self.options.profile, region_name=self.options.region)
            self._client = session.client("s3", endpoint_url=self.options.endpoint_url, config=config)
            self._session = session

    def region(self) -> str:
        """The bucket's region: as configured, else as the server says, else ``us-east-1``."""
        client = self.client
        if self._region is None:
            configured = self.options.region or self._session.region_name
            if configured is None:
                with s3_said_plainly(f"s3://{self.bucket}", self.endpoint):
                    answer = client.head_bucket(Bucket=self.bucket)
                headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
                configured = headers.get("x-amz-bucket-region") or "us-east-1"
            self._region = str(configured)
        return self._region

    def storage_options(self) -> dict[str, str]:
        """The same place for ``deltalake`` (Rust's object_store): credentials frozen now, region, endpoint.

        ``AWS_CONDITIONAL_PUT=etag`` makes a commit a PUT with ``If-None-Match: *``: of two writers of one version
        exactly one succeeds, without a lock table. deltalake 1.x does this by default; it is stated so that an
        environment cannot switch it off. Ask anew for every operation: temporary credentials expire.

        Raises:
            StoreError: when there are no credentials.
        """
        client = self.client
        uri = f"s3://{self.bucket}"
        with s3_said_plainly(uri, self.endpoint):
            credentials = self._session.get_credentials()
            frozen = None if credentials is None else credentials.get_frozen_credentials()
        if frozen is None or not frozen.access_key or not frozen.secret_key:
            raise StoreError(
                f"cannot use {uri}: no AWS credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "choose a profile, or give the machine a role",
                uri,
            )
        options = {
            "AWS_ACCESS_KEY_ID": str(frozen.access_key),
            "AWS_SECRET_ACCESS_KEY": str(frozen.secret_key),
            "AWS_REGION": self.region(),
            "AWS_CONDITIONAL_PUT": "etag",
        }
        if frozen.token:
            options["AWS_SESSION_TOKEN"] = str(frozen.token)
        elif os.environ.get("AWS_SESSION_TOKEN"):  # deltalake would add it to keys it does not belong to
            raise StoreError(
                f"cannot use {uri}: AWS_SESSION_TOKEN is set, but the credentials in use come from elsewhere; unset it",
                uri,
            )
        endpoint = str(client.meta.endpoint_url)
        if self.options.endpoint_url or not _AMAZON.fullmatch(endpoint):
            options["AWS_ENDPOINT_URL"] = endpoint
        if endpoint.startswith("http://"):
            options["AWS_ALLOW_HTTP"] = "true"
        return options
