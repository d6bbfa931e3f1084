"""Personal access tokens: one's own, and everybody's for administrators."""
