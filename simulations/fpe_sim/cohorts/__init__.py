"""The papers' cohorts as phantoms, and a site's own cohort in their place."""
