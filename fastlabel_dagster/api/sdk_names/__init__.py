"""The official SDK's method names on our client: same arguments, same defaults, same requests.

The measure is the SDK 0.26.0. Where it does something that nobody can want, ours differs: an empty or unfinished id is
refused, ids are percent-encoded, an unknown user keyword is refused, the caller's lists stay as they were.
"""

from fastlabel_dagster.api.sdk_names.annotation_classes import AnnotationClassNames
from fastlabel_dagster.api.sdk_names.classified_images import ClassifiedImageNames
from fastlabel_dagster.api.sdk_names.classified_media import ClassifiedMediaNames
from fastlabel_dagster.api.sdk_names.conversions import ConversionNames
from fastlabel_dagster.api.sdk_names.datasets import DatasetNames
from fastlabel_dagster.api.sdk_names.extras import ExtraNames
from fastlabel_dagster.api.sdk_names.image_tasks import ImageTaskNames
from fastlabel_dagster.api.sdk_names.jobs import JobNames
from fastlabel_dagster.api.sdk_names.media_tasks import MediaTaskNames
from fastlabel_dagster.api.sdk_names.projects import ProjectNames
from fastlabel_dagster.api.sdk_names.spatial_tasks import SpatialTaskNames
from fastlabel_dagster.api.sdk_names.tasks import TaskNames
from fastlabel_dagster.api.sdk_names.workspace import WorkspaceNames


class SdkNames(
    ImageTaskNames,
    ClassifiedImageNames,
    ClassifiedMediaNames,
    MediaTaskNames,
    SpatialTaskNames,
    TaskNames,
    AnnotationClassNames,
    ProjectNames,
    DatasetNames,
    JobNames,
    ExtraNames,
    ConversionNames,
    WorkspaceNames,
):
    """All of them, for the client to inherit."""


__all__ = ["SdkNames"]
