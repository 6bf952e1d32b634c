"""The methods of the official SDK and how each is spelled on our groups, for docs/api.md."""

from __future__ import annotations

from fastlabel_dagster.api.modalities import Modality

SECTIONS: dict[str, dict[str, str]] = {
    "Tasks of every modality": {
        "get_task_id_name_map": "tasks.id_name_map",
        "count_tasks": "tasks.count",
        "update_task": "tasks.update",
        "delete_task": "tasks.delete",
        "delete_task_annotations": "tasks.delete_annotations",
        "add_task_tags": "tasks.add_tags",
        "remove_task_tags": "tasks.remove_tags",
        "get_tags": "tags.list",
        "delete_tags": "tags.delete",
        "create_integrated_image_task": "image_tasks.create_integrated",
        "create_integrated_image_classification_task": "image_classification_tasks.create_integrated",
        "find_integrated_image_task_by_prefix": "image_tasks.merged",
        "find_integrated_video_task_by_prefix": "video_tasks.merged",
        "find_integrated_audio_task_by_prefix": "audio_tasks.merged",
    },
    "Imports, storage, appendixes": {
        "find_history": "import_histories.find",
        "get_histories": "import_histories.list",
        "get_aws_s3_import_status_by_project": "aws_s3.import_status",
        "create_task_from_aws_s3": "aws_s3.import_tasks",
        "update_aws_s3_storage": "aws_s3.set_storage",
        "get_appendix_data": "appendix.list",
        "get_task_appendix_data": "appendix.of_tasks",
        "import_appendix_file": "appendix.import_file",
        "import_robotics_contents_file": "robotics_tasks.import_contents",
        "import_lerobot": "robotics_tasks.import_lerobot",
        "get_metadatas": "metadatas.list",
    },
    "Annotation classes": {
        "find_annotation": "annotation_classes.find",
        "find_annotation_by_value": "annotation_classes.by_value",
        "get_annotations": "annotation_classes.list",
        "create_annotation": "annotation_classes.create",
        "create_classification_annotation": "annotation_classes.create_classification",
        "update_annotation": "annotation_classes.update",
        "update_classification_annotation": "annotation_classes.update_classification",
        "delete_annotation": "annotation_classes.delete",
    },
    "Projects": {
        "find_project": "projects.find",
        "find_project_by_slug": "projects.by_slug",
        "get_projects": "projects.list",
        "get_project_id_slug_map": "projects.id_slug_map",
        "create_project": "projects.create",
        "update_project": "projects.update",
        "update_project_metadata": "projects.set_external_codes",
        "delete_project": "projects.delete",
        "copy_project": "projects.copy",
        "update_project_user_permission": "projects.set_user_role",
    },
    "Datasets": {
        "find_dataset": "datasets.find",
        "get_datasets": "datasets.list",
        "create_dataset": "datasets.create",
        "update_dataset": "datasets.update",
        "delete_dataset": "datasets.delete",
        "find_dataset_object": "dataset_objects.find",
        "get_dataset_objects": "dataset_objects.list",
        "create_dataset_object": "dataset_objects.create",
        "update_dataset_object": "dataset_objects.update",
        "delete_dataset_object": "dataset_objects.delete",
        "download_dataset_objects": "dataset_objects.signed_urls",
    },
    "Jobs and models": {
        "find_training_job": "training_jobs.find",
        "get_training_jobs": "training_jobs.list",
        "execute_training_job": "training_jobs.submit",
        "find_evaluation_job": "evaluation_jobs.find",
        "get_evaluation_jobs": "evaluation_jobs.list",
        "execute_evaluation_job": "evaluation_jobs.submit",
        "get_auto_annotation_jobs": "auto_annotation_jobs.list",
        "execute_auto_annotation_job": "auto_annotation_jobs.submit",
        "execute_endpoint": "model_endpoints.execute",
        "create_model_monitoring_request_results": "model_monitoring.create_results",
    },
    "Comments and people": {
        "get_project_comments": "comments.list",
        "get_task_comments": "comments.of_task",
        "create_task_comment": "comments.create",
        "update_task_comment": "comments.update",
        "delete_task_comment": "comments.delete",
        "get_workspace_users": "workspace_users.list",
        "create_workspace_user": "workspace_users.create",
        "update_workspace_user": "workspace_users.update",
        "delete_workspace_user": "workspace_users.delete",
        "create_workspace_user_module_permissions": "workspace_users.grant_modules",
        "delete_workspace_user_module_permissions": "workspace_users.revoke_modules",
    },
}
"""The methods that do not follow from the table of modalities, and how each is spelled on the groups."""

FILE_METHODS = {
    "export_coco": "`coco`",
    "export_yolo": "`yolo` (`layout=darknet`)",
    "export_pascalvoc": "`pascal_voc`",
    "export_labelme": "`labelme`",
    "export_instance_segmentation": "`instance_masks` (`pixels=sdk`)",
    "export_semantic_segmentation": "`semantic_masks` (`pixels=sdk`)",
    "export_image_with_annotations": "`overlays`",
    "convert_coco_to_fastlabel": "`coco`",
    "convert_yolo_to_fastlabel": "`yolo`",
    "convert_pascalvoc_to_fastlabel": "`pascal_voc`",
    "convert_labelme_to_fastlabel": "`labelme`",
    "mask_to_fastlabel_segmentation_points": "the tracing of masks",
}
"""The methods that write and read files, and the format that does it."""


def modality_methods(modality: Modality) -> dict[str, str]:
    """The SDK's methods of one modality, and our group's."""
    key, group = modality.key, modality.group
    methods = {
        f"find_{key}_task": f"{group}.find",
        f"find_{key}_task_by_name": f"{group}.by_name",
        f"get_{key}_tasks": f"{group}.list",
        f"create_{key}_task": f"{group}.create",
        f"update_{key}_task": f"{group}.update",
    }
    if modality.source == "not creatable":
        return {
            name: ours for name, ours in methods.items() if name.startswith(("find", "get")) and "by_name" not in name
        }
    return methods
