"""The table of job fields against the official SDK."""

import dataclasses

from databricks.sdk.service.jobs import JobSettings, Task

from headway.core.jobfields import KNOWN_FIELDS


def test_every_field_that_the_sdk_knows_is_known() -> None:
    assert {field.name for field in dataclasses.fields(JobSettings)} <= KNOWN_FIELDS.job
    assert {field.name for field in dataclasses.fields(Task)} <= KNOWN_FIELDS.task
