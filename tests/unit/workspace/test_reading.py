"""Settings as clients really send them."""

from headway.workspace.services.jobs.reading import with_numbers


def test_numbers_that_came_as_text_are_numbers_and_the_users_own_values_stay() -> None:
    sent = {
        "name": "7",
        "max_concurrent_runs": "2",
        "tags": {"timeout_seconds": "5"},
        "tasks": [
            {
                "task_key": "1",
                "max_retries": "-1",
                "timeout_seconds": "soon",
                "spark_python_task": {"python_file": "dbfs:/x.py", "parameters": ["3"]},
                "new_cluster": {
                    "num_workers": "0",
                    "spark_conf": {"num_workers": "1"},
                    "autoscale": {"max_workers": 2},
                },
            }
        ],
    }
    read = with_numbers(sent)
    task = read["tasks"][0]
    assert (read["name"], read["max_concurrent_runs"], read["tags"]) == ("7", 2, {"timeout_seconds": "5"})
    assert (task["task_key"], task["max_retries"], task["timeout_seconds"]) == ("1", -1, "soon")
    assert task["spark_python_task"]["parameters"] == ["3"]
    assert task["new_cluster"] == {
        "num_workers": 0,
        "spark_conf": {"num_workers": "1"},
        "autoscale": {"max_workers": 2},
    }
