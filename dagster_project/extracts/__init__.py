"""Extract contracts, and the way of delivered files from landing/ into lake/ and quarantine/. Knows no Dagster."""
