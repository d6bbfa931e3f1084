"""Settings as some clients send them, with numbers and truths as text, read into what the API means. Pure.

Airflow's provider sends every number of a request as text; databricks-cli (legacy) sends ids so.
"""

from collections.abc import Mapping
from typing import Any

# The fields of job and cluster settings that are whole numbers, wherever they stand.
NUMBERS = frozenset(
    {
        *("max_concurrent_runs", "timeout_seconds", "max_retries", "min_retry_interval_millis", "job_id"),
        *("num_workers", "autotermination_minutes", "min_workers", "max_workers", "concurrency", "interval", "value"),
        *("min_time_between_triggers_seconds", "wait_after_last_change_seconds", "ebs_volume_count", "ebs_volume_size"),
    }
)
# Below these, every value is the user's own.
OPAQUE = frozenset(
    {
        *("spark_conf", "spark_env_vars", "tags", "custom_tags", "base_parameters", "named_parameters", "parameters"),
        *("job_parameters", "condition_task", "inputs", "notebook_params", "python_named_params"),
    }
)


def with_numbers(settings: Any) -> Any:
    """The same settings; text that stands for a whole number becomes one where the API has numbers."""
    if isinstance(settings, Mapping):
        return {
            key: value
            if key in OPAQUE
            else int(value)
            if key in NUMBERS and isinstance(value, str) and value.lstrip("-").isascii() and value.lstrip("-").isdigit()
            else with_numbers(value)
            for key, value in settings.items()
        }
    if isinstance(settings, list):
        return [with_numbers(entry) for entry in settings]
    return settings
