-- a target holds until a newer one for the same figure
select t.metric_id, t.grain, t.segment_dimension, t.segment_value, t.valid_from, t.target, t.warning_threshold,
    lead(t.valid_from) over (
        partition by t.metric_id, t.grain, t.segment_dimension, t.segment_value order by t.valid_from) as valid_to
from {{ targets_in_use() }} t
