"""Rubric scores of learners' sessions: trained on sessions that raters have labelled."""
