select metric_id, name_en, name_ja, unit, direction, definition_en, definition_ja, formula, table_name,
    numerator, denominator, cast(definition_version as bigint) as definition_version
from {{ ref("metrics") }}
