"""Raw assets: one per extract, and the accounting of all. Which deliveries a run reads is decided here."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import date
from typing import Any

import dagster as dg

from dagster_project import nightly
from dagster_project.defs.resources import NightResource
from dagster_project.extracts.contract import Contract, load_contracts
from dagster_project.extracts.lake import read_records
from dagster_project.extracts.landing import find_deliveries
from dagster_project.extracts.records import DeliveryRecord
from dagster_project.progress import paced
from dagster_project.settings import load_business_settings, load_settings

NIGHTLY = "nightly"  # the job that takes everything pending, whatever partition it is started with

# Before most subscription businesses have usable CRM records, yet few enough days for the UI to list. An older
# delivery is ingested like any other, it only cannot be chosen by itself.
FIRST_DAY = "2015-01-01"

DELIVERIES = dg.AssetKey(["raw", "deliveries"])
ROW_FATES = ("delivered_rows", "accepted_rows", "quarantined_rows", "superseded_rows")

Pair = tuple[str, date]  # extract and extract date


def raw_key(extract: str) -> dg.AssetKey:
    return dg.AssetKey(["raw", *extract.split("/")])


def extract_date_partitions(time_zone: str) -> dg.DailyPartitionsDefinition:
    """One partition per extract date, today included."""
    return dg.DailyPartitionsDefinition(start_date=FIRST_DAY, timezone=time_zone, end_offset=1)


def extract_assets(contracts: dict[str, Contract], partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """One asset per extract and one for the accounting of all, made by one step: whether a refused delivery matters
    is only known when everything pending was read."""
    names = {raw_key(name): name for name in contracts}
    specs = [*(_extract_spec(key, contracts[name]) for key, name in names.items()), _accounting_spec()]

    @dg.multi_asset(
        name="ingest",
        specs=specs,
        partitions_def=partitions,
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def ingest(context: dg.AssetExecutionContext, night: NightResource) -> Iterator[dg.MaterializeResult]:
        one = night.night()
        chosen = {names[key] for key in context.selected_asset_keys & names.keys()}
        days = _chosen_days(context)
        pairs = _pending(one, chosen, days)
        before = read_records(one.settings, one.contracts)
        with paced(context.log.info) as progress:
            report = nightly.read_deliveries(one, progress, only=pairs)
        after = read_records(one.settings, one.contracts)
        is_all = days is None and chosen == set(names.values())
        refusals = report.refusals if is_all else _refusals(after, pairs)
        refused = {record.extract for record in after.values() if record.refusal in refusals}
        records = [record for record in after.values() if _within(record.extract_date, days)]
        made = {raw_key(name): [r for r in records if r.extract == name] for name in sorted(chosen - refused)}
        if DELIVERIES in context.selected_asset_keys:
            made[DELIVERIES] = records
        for key, own in made.items():
            if days is None:
                _log_new_partitions(context, partitions, key, own, before)
            yield dg.MaterializeResult(asset_key=key, metadata=delivery_metadata(own))
        nightly.require_taken_in(refusals)

    return ingest


def delivery_metadata(records: Iterable[DeliveryRecord]) -> dict[str, Any]:
    """What became of the rows and files of some deliveries."""
    records = list(records)
    rows = [row for record in records for row in record.rows]
    statuses = Counter(row.status for row in rows)
    newest = max((record.extract_date for record in records), default=None)
    return {
        **{fate: sum(getattr(row, fate) for row in rows) for fate in ROW_FATES},
        "deliveries": len(records),
        "files": len(rows),
        "status": ", ".join(f"{count} {status}" for status, count in sorted(statuses.items())) or "nothing delivered",
        **({"newest_extract_date": newest.isoformat()} if newest else {}),
    }


def _extract_spec(key: dg.AssetKey, contract: Contract) -> dg.AssetSpec:
    optional = ", optional" if contract.optional else ""
    return dg.AssetSpec(
        key,
        group_name="raw",
        kinds={"parquet"},
        skippable=True,
        description=f"Typed, accepted rows of `{contract.extract}` in the lake ({contract.mode}{optional}).",
        metadata={
            "key": ", ".join(contract.key),
            "dagster/column_schema": dg.TableSchema(
                [dg.TableColumn(name, kind.lower()) for name, kind in contract.schema_types.items()]
            ),
        },
    )


def _accounting_spec() -> dg.AssetSpec:
    return dg.AssetSpec(
        DELIVERIES,
        group_name="raw",
        skippable=True,
        description="Row accounting: the fate of every row of every delivered file, as `meta_row_accounting` shows it.",
    )


def _chosen_days(context: dg.AssetExecutionContext) -> set[date] | None:
    """The extract dates the run was started for; None for all."""
    if context.run.job_name == NIGHTLY or not (context.has_partition_key or context.has_partition_key_range):
        return None
    return {date.fromisoformat(key) for key in context.partition_keys}


def _refusals(records: dict[Pair, DeliveryRecord], pairs: set[Pair]) -> list[str]:
    return [records[pair].refusal for pair in sorted(pairs & records.keys()) if records[pair].refusal]


def _within(day: date, days: Collection[date] | None) -> bool:
    return days is None or day in days


def _pending(night: nightly.Night, chosen: Collection[str], days: Collection[date] | None) -> set[Pair]:
    deliveries = find_deliveries(night.settings.landing, night.contracts)
    return {(d.extract, d.extract_date) for d in deliveries if d.extract in chosen and _within(d.extract_date, days)}


def _log_new_partitions(
    context: dg.AssetExecutionContext,
    partitions: dg.DailyPartitionsDefinition,
    key: dg.AssetKey,
    records: Iterable[DeliveryRecord],
    before: dict[Pair, DeliveryRecord],
) -> None:
    """Marks the extract dates read now, or by `keizoku nightly` meanwhile: a run without a partition marks none."""
    known = context.instance.get_materialized_partitions(key)
    by_day: dict[str, list[DeliveryRecord]] = {}
    for record in records:
        by_day.setdefault(record.extract_date.isoformat(), []).append(record)
    for partition, read in by_day.items():
        is_new = partition not in known or any(before.get((r.extract, r.extract_date)) != r for r in read)
        if is_new and any(r.is_accepted for r in read) and partitions.has_partition_key(partition):
            metadata = delivery_metadata(read)
            context.log_event(dg.AssetMaterialization(key, metadata=metadata, partition=partition))


@dg.definitions
def defs() -> dg.Definitions:
    settings = load_settings()
    contracts = load_contracts(settings.contracts_folder)
    partitions = extract_date_partitions(load_business_settings(settings).reporting_time_zone)
    return dg.Definitions(assets=[extract_assets(contracts, partitions)])
