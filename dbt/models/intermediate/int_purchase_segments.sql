{{ config(materialized="kept", outdated="is_outdated_period") }}
{{ by_segment(outdated_with_segments(ref("int_account_purchases")), "
    count(*) filter (where purchases > 0) as purchasers,
    count(*) filter (where prior_purchases > 0) as prior_purchasers,
    count(*) filter (where prior_purchases > 0 and purchases = 0) as lost_purchasers,
    cast(sum(purchases) as bigint) as purchases,
    " ~ money("sum(purchased_amount)") ~ " as purchased_amount") }}
