{# No NULL and no repetition in a compound key. #}
{% test unique_key(model, columns) %}
select {{ columns | join(", ") }}, count(*) as found
from {{ model }}
group by {{ columns | join(", ") }}
having count(*) > 1 {% for c in columns %}or {{ c }} is null {% endfor %}
{% endtest %}
