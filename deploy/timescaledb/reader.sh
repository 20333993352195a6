#!/bin/sh
# Makes the role `reader`, which may read every table and view of the program, also those that later versions bring, and
# nothing else; or gives it another password. The image runs this by itself on a new volume alone. On any other:
#
#   docker compose exec database sh /docker-entrypoint-initdb.d/reader.sh
#
# Wants POSTGRES_USER (who may create roles), POSTGRES_DB and READER_PASSWORD; without a password it does nothing.

# In a shell of its own: the image does not run a script without an x for it, but reads it into its own shell.
(
    set -eu
    if [ -z "${READER_PASSWORD:-}" ]; then
        echo "reader.sh: READER_PASSWORD is not set, so no role for reading is made"
        exit 0
    fi
    # A superuser's session: what others put into `public`, such as a function that fits better than PostgreSQL's own, must
    # not be run by its name.
    export PGOPTIONS='-c search_path=pg_catalog,pg_temp'
    # The password comes from the environment: on a command line each user of the machine could see it.
    psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" <<'SQL'
\getenv password READER_PASSWORD
BEGIN;
SET LOCAL log_statement = 'none';
SET LOCAL log_min_duration_statement = -1;
SET LOCAL log_min_error_statement = panic;
SELECT 'CREATE ROLE reader' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'reader')
\gexec
ALTER ROLE reader LOGIN PASSWORD :'password' CONNECTION LIMIT 20;
-- No right rests on these: they keep mistakes and slow questions from the program's tables. Compiling a plan over the many
-- parts of a hypertable takes longer than running it.
ALTER ROLE reader SET default_transaction_read_only = on;
ALTER ROLE reader SET statement_timeout = '30s';
ALTER ROLE reader SET jit = off;
SELECT format('GRANT CONNECT ON DATABASE %I TO reader', current_database())
\gexec
GRANT USAGE ON SCHEMA public TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
-- What the program's migrations make later belongs to the database's owner.
SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public GRANT SELECT ON TABLES TO reader', pg_get_userbyid(datdba))
FROM pg_database WHERE datname = current_database()
\gexec
COMMIT;
SQL
    echo "reader.sh: the role reader may read database $POSTGRES_DB"
)
