"""MLflow tracking 2.0: experiments, runs, their metrics, parameters and tags."""
