"""The database: engine, embedded server, migrations, and what each actor reads and writes."""
