{{ config(materialized="view") }}
select {{ days_after("f.first_day", "d.n") }} as date_day
from {{ ref("int_first_day") }} f
cross join {{ integer_series(0, "(select " ~ days_between("first_day", as_of()) ~ " from " ~ ref("int_first_day") ~ ")") }} d
