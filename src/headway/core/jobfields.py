"""The field names of job settings and of tasks. Pure.

Source: databricks-sdk, `service.jobs.JobSettings` and `Task`; a test compares them with the installed SDK, whose import
takes longer than `headway check`.
"""

from headway.core.jobfiles import KnownFields

KNOWN_FIELDS = KnownFields(
    job=frozenset(
        (
            "budget_policy_id",
            "continuous",
            "deployment",
            "description",
            "duration_target",
            "edit_mode",
            "email_notifications",
            "environment_variables",
            "environments",
            "format",
            "git_source",
            "health",
            "job_clusters",
            "max_concurrent_runs",
            "name",
            "notification_settings",
            "parameters",
            "parent_path",
            "performance_target",
            "permissions",  # a bundle's own field beside the settings
            "queue",
            "run_as",
            "schedule",
            "tags",
            "tasks",
            "timeout_seconds",
            "trigger",
            "triggers",
            "usage_policy_id",
            "webhook_notifications",
        )
    ),
    task=frozenset(
        (
            "ai_runtime_task",
            "alert_task",
            "clean_rooms_notebook_task",
            "compute",
            "condition_task",
            "dashboard_task",
            "dbt_cloud_task",
            "dbt_platform_task",
            "dbt_task",
            "depends_on",
            "description",
            "disable_auto_optimization",
            "disabled",
            "email_notifications",
            "environment_key",
            "environment_variables_key",
            "existing_cluster_id",
            "for_each_task",
            "gen_ai_compute_task",
            "health",
            "job_cluster_key",
            "libraries",
            "max_retries",
            "min_retry_interval_millis",
            "new_cluster",
            "notebook_task",
            "notification_settings",
            "pipeline_task",
            "power_bi_task",
            "python_operator_task",
            "python_wheel_task",
            "retry_on_timeout",
            "run_if",
            "run_job_task",
            "spark_jar_task",
            "spark_python_task",
            "spark_submit_task",
            "sql_task",
            "task_key",
            "timeout_seconds",
            "webhook_notifications",
        )
    ),
)
