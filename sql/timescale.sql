-- Run at each start where the TimescaleDB library is preloaded; doing it again changes nothing.
-- A database that gains the extension later is upgraded by a restart.
CREATE EXTENSION IF NOT EXISTS timescaledb;
SELECT create_hypertable('paper_trades', 'exit_time', if_not_exists => true, migrate_data => true, create_default_indexes => false);
SELECT create_hypertable('paper_portfolio_snapshots', 'time', if_not_exists => true, migrate_data => true, create_default_indexes => false);
SELECT create_hypertable('market_prices', 'time', if_not_exists => true, migrate_data => true, create_default_indexes => false);
