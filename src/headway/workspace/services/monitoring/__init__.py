"""What runs cost and what drivers tell: metrics, logs, Spark UIs."""
