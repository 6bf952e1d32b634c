"""The daemon itself, killed at moments nobody has chosen, and started again.

``FASTLABEL_FIRE_KILLS=20`` kills it more often.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

import dagster as dg
from account import PROJECT, Account

from dagster_project.services import DagsterServices
from dagster_project.surroundings import DAGSTER_YAML
from fastlabel_dagster.sandbox import Sandbox

KILLS = int(os.environ.get("FASTLABEL_FIRE_KILLS", "2"))
HERE = Path(__file__).parent
BOX = {"type": "bbox", "value": "car", "points": [1, 2, 30, 20]}


def add_approved(sandbox, first, count):
    """Tasks that somebody has labeled and somebody else approved."""
    import cv2
    import numpy as np

    jpeg = cv2.imencode(".jpg", np.full((40, 60, 3), first % 250, np.uint8))[1].tobytes()
    names = [f"{number:03}.jpg" for number in range(first, first + count)]
    tasks = [{"name": name, "status": "approved", "annotations": [BOX]} for name in names]
    sandbox.state.add_tasks(PROJECT, tasks, dict.fromkeys(names, jpeg))


def test_a_daemon_that_is_killed_again_and_again_does_nothing_twice(tmp_path):
    dice = random.Random(5)
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text(DAGSTER_YAML)
    imports: dict[str, str] = {}
    with Sandbox(tmp_path / "sandbox", speed=2000) as sandbox:
        sandbox.state.create_project(PROJECT, type="image_all")
        sandbox.state.create_class(PROJECT, "bbox", "car", "乗用車", color="#d62728")
        environment = {"FIRE_SANDBOX": sandbox.url, "FIRE_STORE": str(tmp_path / "store"), "FIRE_TIMEOUT": "10"}
        services = DagsterServices(home, module="fire_location", folder=HERE, environment=environment, webserver=False)
        with services, dg.DagsterInstance.from_config(str(home)) as instance:

            def ticks() -> Counter[str]:
                return Counter(
                    state.instigator_name
                    for state in instance.all_instigator_state()
                    for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=500)
                    if tick.status.value in ("SKIPPED", "SUCCESS")
                )

            services.wait_until("every sensor has ticked", lambda: len(ticks()) == 4, 120)
            for kill in range(KILLS):
                add_approved(sandbox, 10 * kill, dice.randint(2, 4))
                outcome = "failed" if kill % 3 == 1 else "completed"
                imports[sandbox.state.start_import(PROJECT, outcome=outcome, seconds=dice.choice([0, 4000]))] = outcome
                if kill % 2:
                    sandbox.fail("POST trainings", kind="reset", after=True)
                before = ticks()
                services.wait_until("the daemon ticks", lambda before=before: ticks() != before, 120)
                time.sleep(dice.uniform(0.0, 3.0))
                services.kill_daemon()
                services.start_daemon()

            def at_rest() -> bool:
                """No run is under way, every sensor has looked twice since, and none has found anything to do."""
                before, runs = ticks(), instance.get_runs_count()
                open_runs = instance.get_runs_count(
                    dg.RunsFilter(
                        statuses=[
                            dg.DagsterRunStatus.QUEUED,
                            dg.DagsterRunStatus.NOT_STARTED,
                            dg.DagsterRunStatus.STARTING,
                            dg.DagsterRunStatus.STARTED,
                        ]
                    )
                )
                if open_runs:
                    return False
                services.wait_until(
                    "every sensor ticks twice",
                    lambda: all(now >= before[name] + 2 for name, now in ticks().items()),
                    120,
                )
                return instance.get_runs_count() == runs

            services.wait_until("everything comes to rest", at_rest, 240, every=1.0)
            runs = instance.get_runs()
            acted = Counter(run.tags["fastlabel/import"] for run in runs if "fastlabel/import" in run.tags)
            account = Account(sandbox, instance, imports, acted)
            assert account.wrong() == []
            assert account.started("training") and account.started("evaluation")
            assert [run.job_name for run in runs if not run.is_success] == []
            keys = Counter(run.tags.get("dagster/run_key") for run in runs)
            assert set(keys.values()) == {1}, keys
