"""How Alembic reaches the database: the connection that `database.migrate` hands over."""

from alembic import context

from headway.pipeline.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    version_table="headway_version",
)
with context.begin_transaction():
    context.run_migrations()
