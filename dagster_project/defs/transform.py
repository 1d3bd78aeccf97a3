"""The dbt models and seeds as assets, the tests of a night as checks, built by one step."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, dbt_assets

from dagster_project import nightly, transformation
from dagster_project.defs.resources import NightResource
from dagster_project.progress import paced
from dagster_project.settings import load_settings
from dagster_project.transformation import NodeResult

UNIQUE_ID = "dagster_dbt/unique_id"  # where dagster-dbt notes which node an asset or a check is


class Layers(DagsterDbtTranslator):
    """Names and groups by layer, so that the graph reads from raw over staging and intermediate to marts."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            return dg.AssetKey(["raw", dbt_resource_props["source_name"], dbt_resource_props["name"]])
        return dg.AssetKey([_layer(dbt_resource_props), dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return _layer(dbt_resource_props)


def model_assets(manifest: Path) -> dg.AssetsDefinition:
    """Every model and seed of the manifest. Whatever part is asked for, all are built: the marts belong together."""

    @dbt_assets(
        manifest=manifest, name="transform", exclude=transformation.NOT_NIGHTLY, dagster_dbt_translator=Layers()
    )
    def transform(context: dg.AssetExecutionContext, night: NightResource):
        one = night.night()
        with paced(context.log.info) as progress:
            results = nightly.build_models(one, progress)
        rows = transformation.row_counts(one.settings, [result.name for result in results])
        keys = {spec.metadata[UNIQUE_ID]: spec.key for spec in context.assets_def.specs}
        checks = {spec.metadata[UNIQUE_ID]: spec for spec in context.assets_def.check_specs}
        for result in results:  # in the order they ran: Dagster expects what a model reads before the model
            if result.unique_id in keys and result.status == "success":
                yield from _materialized(context, keys[result.unique_id], _metadata(result, rows))
            check = checks.get(result.unique_id)
            if check and check.key in context.selected_asset_check_keys and result.status != "skipped":
                yield _check_result(check, result)
        transformation.require_success(results)

    return transform


def _layer(props: Mapping[str, Any]) -> str:
    return "seeds" if props["resource_type"] == "seed" else props["fqn"][1]


def _metadata(result: NodeResult, rows: Mapping[str, int]) -> dict[str, Any]:
    counted = {"dagster/row_count": rows[result.name]} if result.name in rows else {}
    return {"seconds": result.seconds, **counted}


def _materialized(
    context: dg.AssetExecutionContext, key: dg.AssetKey, metadata: dict[str, Any]
) -> Iterator[dg.MaterializeResult]:
    if key in context.selected_asset_keys:
        yield dg.MaterializeResult(asset_key=key, metadata=metadata)
    else:
        context.log_event(dg.AssetMaterialization(key, metadata=metadata))


def _check_result(check: dg.AssetCheckSpec, result: NodeResult) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.WARN if result.status == "warn" else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(
        passed=result.status == "pass",
        asset_key=check.asset_key,
        check_name=check.name,
        severity=severity,
        metadata={"failing_rows": result.failures, "seconds": result.seconds},
    )


@dg.definitions
def defs() -> dg.Definitions:
    return dg.Definitions(assets=[model_assets(transformation.prepared_manifest(load_settings()))])
