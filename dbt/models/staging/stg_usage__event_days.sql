select extract_date, event_date, cast(events as bigint) as events, is_changed
from {{ usage_index() }} as delivered
