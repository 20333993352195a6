-- Whether results rest on the prices of a real market: stored with each fill, judged here for what is older.

-- As the price source said; NULL in rows of earlier versions. A nullable column without default rewrites no row.
ALTER TABLE paper_fills ADD COLUMN real_prices boolean;
