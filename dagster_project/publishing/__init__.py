"""From marts to a release: candidate, verification, atomic swap, rollback. Knows no Dagster and runs no audit."""
