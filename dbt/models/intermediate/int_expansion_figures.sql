{{ config(materialized="kept", outdated="is_outdated_period") }}
{{ by_segment(outdated_with_segments(ref("int_account_expansion")), "
    count(*) filter (where upsell_mrr > 0) as upsold_customers,
    sum(upsell_mrr) as upsell_mrr,
    count(*) filter (where cross_sell_mrr > 0) as cross_sold_customers,
    sum(cross_sell_mrr) as cross_sell_mrr") }}
