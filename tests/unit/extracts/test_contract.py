"""Contracts: the shipped ones hold together, and a wrong one is refused with file, line and reason."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from dagster_project.extracts.contract import contracts_hash, load_contracts
from dagster_project.settings import SHIPPED_CONTRACTS, ConfigurationError

STANDARD = SHIPPED_CONTRACTS / "standard"

OWN = """\
mode: delta
key: [id]
source_columns: [id, price]
columns:
  - {name: id, type: text, required: true, pii: none}
  - {name: amount, type: decimal, pii: none, from: price}
"""


def write(folder: Path, text: str, name: str = "shop/orders.yml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_standard_has_the_canonical_columns():
    contracts = load_contracts(STANDARD)
    assert {name: contract.mode for name, contract in contracts.items()} == {
        "crm/accounts": "snapshot",
        "crm/invoices": "delta",
        "crm/onboarding_steps": "delta",
        "crm/subscriptions": "snapshot",
        "crm/support_tickets": "delta",
        "crm/survey_responses": "delta",
        "finance/fx_rates": "delta",
        "usage/events": "delta",
    }
    assert [name for name, contract in contracts.items() if not contract.optional] == [
        "crm/accounts",
        "crm/subscriptions",
    ]
    assert list(contracts["crm/subscriptions"].schema_types.items())[4:7] == [
        ("quantity", "BIGINT"),
        ("amount", "DECIMAL(18,6)"),
        ("currency", "VARCHAR"),
    ]


def test_a_mapping_inherits_what_standard_says():
    contracts = load_contracts(SHIPPED_CONTRACTS / "ravenstack")
    standard = load_contracts(STANDARD)
    assert set(contracts) == {*standard, "crm/churn_events"}
    for name, contract in standard.items():
        assert contracts[name].schema_types == contract.schema_types
        assert contracts[name].key == contract.key
        assert contracts[name].refuse == contract.refuse
    assert contracts["crm/survey_responses"].landing_name == "crm/support_tickets"
    assert contracts["crm/subscriptions"].absent == ["product", "currency", "billing_interval_count"]
    assert contracts["crm/invoices"].optional


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("mode: delta", "mode: delta\nmood: good", 2, "unknown key 'mood'"),
        ("type: decimal", "type: money", 6, "found 'money'"),
        ("pii: none, from", "pii: none, form", 6, "unknown key 'columns.1.form'"),
        ("from: price", "from: price::decmal", 6, "does not bind"),
        ("from: price", "from: cost + 1", 6, "does not bind"),
        ("from: price", "from: cost", 6, "'cost' is not among source_columns"),
        ("from: price", "from: (select 1)", 6, "subquery"),
        ("from: price", "from: now()::varchar", 6, "calls now"),
        ("from: price", "from: '1) from x; select (2'", 6, "more than one"),
        ("from: price", "from: '[price]'", 6, "expected one plain value"),
        ("key: [id]", "key: [idd]", 2, "no column 'idd'"),
        ("pii: none, from: price}", "from: price}", 6, "'columns.1.pii' is missing"),
        ("[id, price]", "[id, price, Price]", 3, "twice"),
        ("mode: delta", "mode: delta\nmode: snapshot", 2, "duplicate key"),
        ("mode: delta", "mode: delta\ntime_zone: Tokyo", 2, "IANA"),
        ("[id, price]", "[price]", 5, "required column 'id'"),
        ("mode: delta", "mode: delta\nwhere: price", 2, "expected BOOLEAN"),
    ],
)
def test_a_wrong_contract_is_refused_with_file_and_line(tmp_path, old, new, line, reason):
    path = write(tmp_path, OWN.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as refused:
        load_contracts(tmp_path)
    assert str(refused.value).startswith(f"{path}:{line}: ")
    assert reason in str(refused.value)


def test_a_rule_must_bind_to_canonical_columns(tmp_path):
    path = write(tmp_path, OWN + "refuse:\n  - {when: price < 0, column: amount, because: no}\n")
    with pytest.raises(ConfigurationError, match=rf"{path.name}:8: .*does not bind"):
        load_contracts(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("mode: delta\n", "accounts.yml:1: mode: found 'delta'; the standard contract fixes it at 'snapshot'"),
        ("columns:\n  - {name: nickname, from: n}\n", "accounts.yml:2: crm/accounts has no column 'nickname'"),
        ("columns:\n  - {name: region, type: integer}\n", "accounts.yml:2: region.type: found 'integer'; the standard"),
        ("columns:\n  - {name: region, from: upper(r)}\n", "accounts.yml:1: source_columns is missing"),
    ],
)
def test_a_mapping_cannot_change_the_canonical_schema(tmp_path, text, reason):
    write(tmp_path, text, "crm/accounts.yml")
    with pytest.raises(ConfigurationError) as refused:
        load_contracts(tmp_path)
    assert reason in str(refused.value)


def test_the_hash_tells_contracts_apart_and_ignores_comments(tmp_path):
    write(tmp_path, OWN)
    before = contracts_hash(load_contracts(tmp_path))
    write(tmp_path, "# a comment\n" + OWN)
    assert contracts_hash(load_contracts(tmp_path)) == before
    write(tmp_path, OWN + "limits: {max_quarantined_share: 0.2}\n")
    assert contracts_hash(load_contracts(tmp_path)) != before


def test_a_full_copy_of_standard_is_a_valid_folder_of_contracts(tmp_path: Path) -> None:
    folder = tmp_path / "ours"
    shutil.copytree(STANDARD, folder)

    ours, standard = load_contracts(folder), load_contracts(STANDARD)

    assert {name: contract.hash for name, contract in ours.items()} == {n: c.hash for n, c in standard.items()}


@pytest.mark.parametrize(
    ("given", "changed", "message"),
    [
        ("amount, type: decimal", "amount, type: text", "amount.type: found 'text'"),
        ("amount, type: decimal, required: true", "amount, type: decimal, required: false", "amount.required"),
        ("key: [subscription_id, product, start_date]", "key: [subscription_id]", "subscriptions.yml:3: key: found"),
    ],
)
def test_a_copy_may_not_loosen_what_standard_fixes(tmp_path: Path, given: str, changed: str, message: str) -> None:
    folder = tmp_path / "ours"
    shutil.copytree(STANDARD, folder)
    path = folder / "crm" / "subscriptions.yml"
    path.write_text(path.read_text().replace(given, changed))

    with pytest.raises(ConfigurationError, match=re.escape(message)):
        load_contracts(folder)
