"""What a child process does until it is killed; the names it uses are set by ``kill_at_random.Victims``."""

from __future__ import annotations

from fastlabel_dagster.api import FastLabelClient
from fastlabel_dagster.sync import download_images, sync_project

given = globals()
given["tell"].send("begin")
with FastLabelClient(given["token"], given["url"], budget=None) as client:
    if given["work"] == "sync":
        sync_project(client, given["project"], given["store"], page_size=50, buckets=16)
    else:
        download_images(client, given["project"], given["store"], workers=2)
