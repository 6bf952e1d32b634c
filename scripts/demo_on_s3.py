"""Play the demo with its store on an S3 server on loopback; then compare an S3 run with a local one, object by object.

    python scripts/demo_on_s3.py [DATASET]

Starts moto's server on a free port and runs ``dagster_project.demo`` into ``s3://labels/demo``. Then the sync job runs
twice against the demo's sandbox, into ``s3://labels/again`` and into a local folder: every object but the Delta tables
(their log holds the time of the commit) must be equal byte for byte, and the mirrors must hold the same content. Exits
1 when something differs.
"""

import logging
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import dagster as dg
from moto.server import ThreadedMotoServer

from fastlabel_dagster import FastLabelResource, LabelMirror, build_fastlabel_project, open_store
from fastlabel_dagster.project_jobs import sync_job_name
from fastlabel_dagster.sandbox import Sandbox

BUCKET = "labels"


def main() -> int:
    dataset = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    project = dataset.resolve().name if dataset else "street-scenes"
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ.update(
        AWS_ENDPOINT_URL=f"http://{host}:{port}",
        AWS_ACCESS_KEY_ID="none",
        AWS_SECRET_ACCESS_KEY="none",
        AWS_REGION="us-east-1",
        AWS_EC2_METADATA_DISABLED="true",
    )
    urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/{BUCKET}", method="PUT")).close()
    try:
        command = [sys.executable, "-m", "dagster_project.demo", "--store", f"s3://{BUCKET}/demo"]
        subprocess.run([*command, *(["--data", str(dataset)] if dataset else [])], check=True)
        with tempfile.TemporaryDirectory() as folder, Sandbox(Path(".demo/sandbox")) as sandbox:
            for store in (folder, f"s3://{BUCKET}/again"):
                sync(project, store, sandbox)
            return compare(folder, f"s3://{BUCKET}/again")
    finally:
        server.stop()


def sync(project: str, store: str, sandbox: Sandbox) -> None:
    fastlabel = FastLabelResource(access_token=sandbox.token, base_url=sandbox.url)
    defs = build_fastlabel_project(project, store=store, exports=["coco", "coco_parquet", "yolo"], resource=fastlabel)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        defs.resolve_job_def(sync_job_name(project)).execute_in_process(instance=instance, run_config=quiet)


def compare(folder: str, uri: str) -> int:
    local, remote = open_store(folder), open_store(uri)
    here, there = ({o.path for o in store.list() if not o.path.startswith("labels/")} for store in (local, remote))
    differing = {path for path in here & there if local.read_bytes(path) != remote.read_bytes(path)}
    print(f"\n{len(here)} local objects, {len(there)} on S3, {len(here & there) - len(differing)} equal byte for byte")
    for path in sorted(here ^ there) + sorted(differing):
        print(f"  DIFFERS: {path}")
    ours, theirs = LabelMirror(local.at("labels")), LabelMirror(remote.at("labels"))
    same = ours.digest == theirs.digest and ours.read().tasks.equals(theirs.read().tasks)
    print(f"mirrors: {ours.read().tasks.num_rows} tasks, content {'equal' if same else 'DIFFERS'}")
    return 0 if here == there and not differing and same else 1


if __name__ == "__main__":
    sys.exit(main())
