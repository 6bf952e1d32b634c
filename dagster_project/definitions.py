"""The code location. Without an account it talks to the sandbox on this machine; with a token, to FastLabel.

Environment:
    FASTLABEL_ACCESS_TOKEN  use the real service (or the server FASTLABEL_API_URL names) with this token.
    FASTLABEL_SANDBOX_URL   where the sandbox listens; default http://127.0.0.1:8765/v1/.
    FASTLABEL_PROJECT       slug of the project; default street-scenes.
    FASTLABEL_STORE         where everything is written, a folder or s3://bucket/prefix; default out/<project>.
    FASTLABEL_RETRAIN_EVERY how many newly approved tasks start a retraining; default 40.

Sensors and schedule run at once against the sandbox; against the real service they are switched on in the UI.
"""

import os

import dagster as dg

from fastlabel_dagster import FastLabelResource, build_fastlabel_project
from fastlabel_dagster.translator import dataset_name

PROJECT = os.environ.get("FASTLABEL_PROJECT") or "street-scenes"
STORE = os.environ.get("FASTLABEL_STORE") or f"out/{PROJECT}"

if os.environ.get("FASTLABEL_ACCESS_TOKEN"):
    automation = dg.DefaultSensorStatus.STOPPED
    # an EnvVar and not its value: snapshots and the UI then show the variable's name, never the token
    fastlabel = FastLabelResource(access_token=dg.EnvVar("FASTLABEL_ACCESS_TOKEN"))
else:
    automation = dg.DefaultSensorStatus.RUNNING
    sandbox = os.environ.get("FASTLABEL_SANDBOX_URL") or "http://127.0.0.1:8765/v1/"
    fastlabel = FastLabelResource(access_token="sandbox-token", base_url=sandbox)  # noqa: S106 - the sandbox's own, no secret

defs = build_fastlabel_project(
    PROJECT,
    store=STORE,
    exports=["coco", {"format": "yolo", "task": "detect", "split": {"train": 0.9, "val": 0.1}}],
    dataset=dataset_name(PROJECT),
    training={"base_model": "fastlabel_object_detection_light", "epoch": 300},
    retrain_every=int(os.environ.get("FASTLABEL_RETRAIN_EVERY") or 40),
    nightly_at="0 3 * * *",
    time_zone="Asia/Tokyo",
    resource=fastlabel,
    default_status=automation,
)
