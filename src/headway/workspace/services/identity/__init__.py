"""Who am I (SCIM), and where the workspace tells of itself."""
