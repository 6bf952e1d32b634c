"""What ``defs.yaml`` takes from the environment. Without an account it turns to the sandbox on this machine.

FASTLABEL_ACCESS_TOKEN
    use the real service (or the server FASTLABEL_API_URL names) with this token. Only its name is handed on.
FASTLABEL_SANDBOX_URL
    where the sandbox listens; default http://127.0.0.1:8765/v1/.
FASTLABEL_PROJECT
    slug of the project; default street-scenes.
FASTLABEL_STORE
    where everything is written, a folder or s3://bucket/prefix; default out/<project>.
FASTLABEL_RETRAIN_EVERY
    how many newly approved tasks start a retraining; default 40.
FASTLABEL_SENSOR_SECONDS
    how often a sensor looks at most; default 60, against the sandbox 1: its jobs take seconds.

Sensors and schedule run at once against the sandbox; against the real service they are switched on in the UI.
"""

import os

import dagster as dg

from fastlabel_dagster.translator import dataset_name

#: The sandbox's token is no secret; it travels in a variable all the same, as every token does.
_SANDBOX_VARIABLE, _SANDBOX_TOKEN = "FASTLABEL_SANDBOX_TOKEN", "sandbox-token"


@dg.template_var
def on_sandbox() -> bool:
    """Whether there is no token for the real service."""
    return not os.environ.get("FASTLABEL_ACCESS_TOKEN")


@dg.template_var
def token_variable() -> str:
    """The name of the variable that holds the token."""
    if not on_sandbox():
        return "FASTLABEL_ACCESS_TOKEN"
    os.environ.setdefault(_SANDBOX_VARIABLE, _SANDBOX_TOKEN)
    return _SANDBOX_VARIABLE


@dg.template_var
def api_url() -> str:
    """The sandbox's address; for the real service nothing, which is FASTLABEL_API_URL or FastLabel itself."""
    return (os.environ.get("FASTLABEL_SANDBOX_URL") or "http://127.0.0.1:8765/v1/") if on_sandbox() else ""


@dg.template_var
def project() -> str:
    """Slug of the project."""
    return os.environ.get("FASTLABEL_PROJECT") or "street-scenes"


@dg.template_var
def store() -> str:
    """Where everything is written."""
    return os.environ.get("FASTLABEL_STORE") or f"out/{project()}"


@dg.template_var
def dataset() -> str:
    """The project's slug as the name of a FastLabel dataset."""
    return dataset_name(project())


@dg.template_var
def retrain_every() -> int:
    """How many newly approved tasks start a retraining."""
    return int(os.environ.get("FASTLABEL_RETRAIN_EVERY") or 40)


@dg.template_var
def sensor_seconds() -> int:
    """How often a sensor looks at most."""
    return int(os.environ.get("FASTLABEL_SENSOR_SECONDS") or (1 if on_sandbox() else 60))


@dg.template_var
def poll_seconds() -> float:
    """The first pause between two looks at a job that a run waits for."""
    return 0.5 if on_sandbox() else 10.0
