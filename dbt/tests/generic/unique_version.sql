{# One row per subscription, product (which may be NULL), start date and delivery. #}
{% test unique_version(model) %}
select subscription_id, product, start_date, extract_date, count(*) as found
from {{ model }}
group by subscription_id, product, start_date, extract_date
having count(*) > 1
{% endtest %}
