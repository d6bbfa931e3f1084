"""Users, groups, service principals (SCIM 2.0), their tokens and OAuth secrets."""
