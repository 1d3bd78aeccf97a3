{# The onboarding steps of the settings: names of crm/onboarding_steps, and events counted in usage. #}

{% macro text_literal(text) -%}'{{ text | replace("'", "''") }}'{%- endmacro %}

{% macro onboarding_step_names() -%}
    {{ return(var("onboarding").steps | unique | reject("in", onboarding_event_steps() | map(attribute="step") | list) | list) }}
{%- endmacro %}

{# The event steps as mappings: step, event_name and how many events it takes. `event:<event_name>[>=n]` #}
{% macro onboarding_event_steps() -%}
    {%- set steps = [] -%}
    {%- for step in var("onboarding").steps | unique if step.startswith("event:") -%}
        {%- set parts = modules.re.match("event:(.+?)(?:>=([1-9][0-9]*))?$", step) -%}
        {%- do steps.append({"step": step, "event_name": parts.group(1), "needed": (parts.group(2) or "1") | int}) -%}
    {%- endfor -%}
    {{ return(steps) }}
{%- endmacro %}
