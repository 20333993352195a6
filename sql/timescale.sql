-- Run at each start where the TimescaleDB library is preloaded; doing it again changes nothing.
-- A database that gains the extension later is upgraded by a restart.
CREATE EXTENSION IF NOT EXISTS timescaledb SCHEMA public;
-- Wherever the extension is; the tables are found first, in the schema of this program.
SELECT set_config('search_path', concat_ws(', ', quote_ident(current_schema()), quote_ident(nspname), 'public'), true)
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'timescaledb';
-- Rows that are there move into the hypertable, which the table's guard permits to its writer alone.
SELECT set_config('paper.writer', 'PositionKeeper', true);
SELECT create_hypertable('paper_trades', 'exit_time', if_not_exists => true, migrate_data => true, create_default_indexes => false);
SELECT set_config('paper.writer', 'Snapshotter', true);
SELECT create_hypertable('paper_portfolio_snapshots', 'time', if_not_exists => true, migrate_data => true, create_default_indexes => false);
SELECT set_config('paper.writer', '', true);
-- A chunk is a day, so that retention, which drops whole chunks, is exact to a day; a table that is one already keeps its own.
SELECT create_hypertable('market_prices', 'time', chunk_time_interval => INTERVAL '1 day', if_not_exists => true, migrate_data => true, create_default_indexes => false);
