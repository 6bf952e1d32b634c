"""What is used of Dagster beside its public face does what the package takes it to do."""

import dagster as dg

from fastlabel_dagster._compat import (
    TaggedAssets,
    function_of_step,
    input_pointer_tag,
    kept_whole,
    last_check_evaluation,
    materialized_in_run,
    provenance_tags,
    run_step_as,
    specs_of_run,
)

PARTS = dg.StaticPartitionsDefinition(["a", "b"])


def test_the_function_of_a_step_can_be_called_from_another():
    @dg.asset_check(asset="thing")
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True, metadata={"run": context.run.run_id})

    @dg.op
    def other(context: dg.OpExecutionContext):
        answer = function_of_step(check)(context)
        assert answer.metadata["run"].value == context.run.run_id

    @dg.job
    def job():
        other()

    assert job.execute_in_process().success


def test_checks_kept_whole_are_one_definition_after_a_component_has_marked_them():
    @dg.multi_asset_check(specs=[dg.AssetCheckSpec(name, asset="thing") for name in ("one", "two")], can_subset=True)
    def checks(context: dg.AssetCheckExecutionContext):
        for key in context.selected_asset_check_keys:
            yield dg.AssetCheckResult(passed=True, check_name=key.name)

    def counted(definition):
        marked = dg.Definitions(
            assets=[dg.AssetSpec("thing")], asset_checks=[definition]
        ).with_definition_metadata_update(lambda metadata: {**metadata, "from": "a component"})
        repository = marked.get_repository_def()
        copies = set(repository.asset_checks_defs_by_key.values())
        specs = [spec for one in copies for spec in one.check_specs]
        assert {spec.metadata["from"] for spec in specs} == {"a component"}
        run = marked.resolve_implicit_global_asset_job_def().execute_in_process()
        assert {one.check_name for one in run.get_asset_check_evaluations()} == {"one", "two"}
        return len(copies)

    assert counted(kept_whole(checks)) == 1
    assert counted(checks) == 2, "Dagster keeps them by itself now: kept_whole can go"


def test_assets_are_selected_by_a_tag_of_each_group():
    def asset(name, **tags):
        return dg.asset(name=name, tags=tags)(lambda: None)

    assets = [asset("both", a="1", b="2"), asset("other", a="2", b="2"), asset("first", a="1"), asset("no", a="3")]
    shown = dg.AssetSpec("shown", tags={"a": "1", "b": "2"})
    selection = TaggedAssets((frozenset({("a", "1"), ("a", "2")}), frozenset({("b", "2")})))
    job = dg.define_asset_job("job", selection=selection)
    sensor = dg.SensorDefinition("sensor", evaluation_fn=lambda context: None, asset_selection=selection)
    definitions = dg.Definitions(assets=[*assets, shown], jobs=[job], sensors=[sensor])
    keys = {dg.AssetKey("both"), dg.AssetKey("other")}
    assert definitions.resolve_job_def("job").asset_layer.selected_asset_keys == keys
    found = definitions.get_repository_def().get_sensor_def("sensor").asset_selection
    assert set(found.to_serializable_asset_selection(definitions.resolve_asset_graph()).selected_keys) == keys


def test_what_a_run_has_materialized_is_known_while_it_goes_on():
    seen = {}

    @dg.multi_asset(specs=[dg.AssetSpec("one"), dg.AssetSpec("two", partitions_def=PARTS)], can_subset=True)
    def both(context: dg.AssetExecutionContext):
        yield dg.MaterializeResult(asset_key="one")
        context.log_event(dg.AssetMaterialization("two", partition="b"))
        seen.update(dict.fromkeys(materialized_in_run(context.instance, context.run.run_id)))

    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([both], instance=instance, partition_key="a").success
        assert set(seen) == {(dg.AssetKey("one"), None), (dg.AssetKey("two"), "b")}
        assert not materialized_in_run(instance, "another run")


def test_a_step_knows_what_else_its_run_makes_and_not_what_it_does_not():
    seen = []

    @dg.multi_asset(specs=[dg.AssetSpec("one"), dg.AssetSpec("other")], can_subset=True)
    def first(context: dg.AssetExecutionContext):
        seen.append({spec.key.to_user_string() for spec in specs_of_run(context)})
        yield dg.MaterializeResult(asset_key="one")

    @dg.asset(deps=["one"])
    def next_one(): ...

    @dg.asset(deps=["one"])
    def left_out(): ...

    assert dg.materialize([first, next_one, left_out], selection=["one", "next_one"]).success
    assert dg.materialize([first], selection=["one"]).success
    assert seen == [{"one", "next_one"}, {"one"}]


def test_the_last_evaluation_of_a_check_is_that_of_the_run_before():
    seen = []

    @dg.multi_asset(specs=[dg.AssetSpec("one")], check_specs=[dg.AssetCheckSpec("good", asset="one")])
    def checked(context: dg.AssetExecutionContext):
        last = last_check_evaluation(context.instance, dg.AssetCheckKey(dg.AssetKey("one"), "good"))
        seen.append(None if last is None else (last.passed, last.metadata["number"].value))
        result = dg.AssetCheckResult(passed=len(seen) == 2, metadata={"number": len(seen)})
        yield dg.MaterializeResult(check_results=[result])

    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(3):
            assert dg.materialize([checked], instance=instance).success
    assert seen == [None, (False, 1), (True, 2)]


def test_noted_provenance_is_what_dagster_notes_itself():
    @dg.asset(partitions_def=PARTS)
    def above() -> dg.MaterializeResult:
        return dg.MaterializeResult(data_version=dg.DataVersion("7"))

    @dg.asset(partitions_def=PARTS, deps=[above])
    def below() -> None: ...

    with dg.DagsterInstance.ephemeral() as instance:
        for part in ("a", "b"):
            assert dg.materialize([above, below], instance=instance, partition_key=part).success
        wanted = dg.AssetRecordsFilter(asset_key=below.key, asset_partitions=["a"])
        (record,) = instance.fetch_materializations(wanted, limit=1).records
        noted = provenance_tags(instance, [above.key], "a", record.run_id)
        theirs = record.asset_materialization.tags
        assert noted == {name: theirs[name] for name in noted}
        assert input_pointer_tag(above.key) in noted
        assert provenance_tags(instance, [dg.AssetKey("unknown")], "a", "run") == {"dagster/code_version": "run"}


def test_a_step_runs_another_function_with_tags_and_in_a_pool():
    @dg.asset_check(asset="thing")
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False)

    before = function_of_step(check)

    def turned(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=not before(context).passed)

    run_step_as(check, turned, tags={"team": "ours", "dagster-k8s/config": {"a": [1]}}, pool="calls")
    assert check.op.tags == {"team": "ours", "dagster-k8s/config": '{"a": [1]}'} and check.op.pool == "calls"
    defs = dg.Definitions(asset_checks=[check], assets=[dg.AssetSpec("thing")])
    job = defs.resolve_implicit_global_asset_job_def()
    assert {node.definition.name: node.definition.pools for node in job.nodes} == {"thing_check": {"calls"}}
    with dg.DagsterInstance.ephemeral() as instance:
        (evaluation,) = job.execute_in_process(instance=instance).get_asset_check_evaluations()
    assert evaluation.passed
