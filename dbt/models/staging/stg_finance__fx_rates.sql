{{ newest_per_key("finance", "fx_rates", ["currency", "rate_date", "rate"], ["currency", "rate_date"]) }}
