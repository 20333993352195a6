#!/bin/sh
# Makes the roles of the database, each with exactly one task, or gives them other passwords:
#
#   paper           owns the database: upgrades the schema, gives rights, changes portfolios
#   paper_service   is the service: reads and writes the tables, and does not own them
#   paper_sender    sends decisions, and sees its own
#   reader          reads every table and view, also those that later versions bring: Grafana
#
# The image runs this by itself on a new volume alone. On any other:
#
#   docker compose exec database sh /docker-entrypoint-initdb.d/roles.sh
#
# What service and sender may do with the tables, the container `upgrade` grants, once there are tables. Wants POSTGRES_USER
# (a superuser), POSTGRES_DB, and for each role its password, without which the role is left out.

# In a shell of its own: the image does not run a script without an x for it, but reads it into its own shell.
(
    set -eu
    # A superuser's session: what others put into `public`, such as a function that fits better than PostgreSQL's own, must
    # not be run by its name.
    export PGOPTIONS='-c search_path=pg_catalog,pg_temp'

    as_superuser() {
        psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" "$@"
    }

    # make ROLE VARIABLE CONNECTIONS: a role with the password that the variable holds.
    make() {
        eval "ROLE_PASSWORD=\${$2:-}"
        if [ -z "$ROLE_PASSWORD" ]; then
            echo "roles.sh: $2 is not set, so no role $1 is made"
            return 1
        fi
        # The password comes from the environment: on a command line each user of the machine could see it.
        export ROLE_PASSWORD
        as_superuser --set=role="$1" --set=connections="$3" <<'SQL'
\getenv password ROLE_PASSWORD
BEGIN;
SET LOCAL log_statement = 'none';
SET LOCAL log_min_duration_statement = -1;
SET LOCAL log_min_error_statement = panic;
SELECT format('CREATE ROLE %I', :'role') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role')
\gexec
ALTER ROLE :"role" LOGIN PASSWORD :'password' CONNECTION LIMIT :connections;
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), :'role')
\gexec
COMMIT;
SQL
    }

    # No right rests on these settings: they keep mistakes and slow questions from the program's tables. Compiling a plan over
    # the many parts of a hypertable takes longer than running it.
    limit() {
        as_superuser --set=role="$1" <<'SQL'
ALTER ROLE :"role" SET lock_timeout = '5s';
ALTER ROLE :"role" SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE :"role" SET statement_timeout = '30s';
ALTER ROLE :"role" SET jit = off;
-- This one no session can change.
ALTER ROLE :"role" SET temp_file_limit = '256MB';
SQL
    }

    as_superuser <<'SQL'
SELECT format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', datname)
FROM pg_database WHERE datname IN (current_database(), 'postgres')
\gexec
SQL

    if make paper OWNER_PASSWORD 20; then
        as_superuser <<'SQL'
SELECT format('ALTER DATABASE %I OWNER TO paper', current_database())
\gexec
SQL
        echo "roles.sh: the role paper owns database $POSTGRES_DB"
    fi
    if make paper_service SERVICE_PASSWORD 50; then
        # Row security, by which a sender sees its own rows, then costs the service nothing; and what others do cannot keep it
        # from connecting (PostgreSQL 16 and later).
        as_superuser <<'SQL'
ALTER ROLE paper_service BYPASSRLS;
SELECT format('GRANT %I TO paper_service', rolname) FROM pg_roles WHERE rolname = 'pg_use_reserved_connections'
\gexec
SQL
        echo "roles.sh: the role paper_service may serve database $POSTGRES_DB once the container upgrade has run"
    fi
    if make paper_sender SENDER_PASSWORD 20; then
        limit paper_sender
        echo "roles.sh: the role paper_sender may send to database $POSTGRES_DB once the container upgrade has run"
    fi
    if make reader READER_PASSWORD 20; then
        limit reader
        as_superuser <<'SQL'
ALTER ROLE reader SET default_transaction_read_only = on;
GRANT USAGE ON SCHEMA public TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
-- What the program's migrations make later belongs to the database's owner.
SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public GRANT SELECT ON TABLES TO reader', pg_get_userbyid(datdba))
FROM pg_database WHERE datname = current_database()
\gexec
SQL
        echo "roles.sh: the role reader may read database $POSTGRES_DB"
    fi
)
