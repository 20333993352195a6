-- The smallest commission and the smallest order of a portfolio are amounts in its currency. Where an INSERT states none, they are
-- worth about 1 and 10 dollars, and 0 in a currency that is not known; domain/currencies.py has the same list. Existing
-- portfolios keep theirs.
ALTER TABLE paper_trading_config ALTER COLUMN min_commission DROP DEFAULT, ALTER COLUMN min_notional DROP DEFAULT;

CREATE FUNCTION paper_config_amounts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    dollar CONSTANT numeric := CASE
        WHEN NEW.currency IN ('IDR', 'VND') THEN 10000
        WHEN NEW.currency IN ('KRW', 'ARS', 'COP', 'CLP', 'NGN', 'KZT') THEN 1000
        WHEN NEW.currency IN ('JPY', 'TRY', 'INR', 'THB', 'PHP', 'TWD', 'RUB', 'UAH', 'HUF', 'EGP', 'KES',
            'GBX', 'ISK') THEN 100
        WHEN NEW.currency IN ('SEK', 'NOK', 'DKK', 'PLN', 'CZK', 'RON', 'CNY', 'CNH', 'HKD', 'ZAR', 'MXN',
            'BRL', 'ILS', 'MYR', 'AED', 'SAR', 'QAR') THEN 10
        WHEN NEW.currency IN ('DOGE', 'TRX', 'XDG') THEN 5
        WHEN NEW.currency IN ('USD', 'EUR', 'GBP', 'CHF', 'AUD', 'CAD', 'NZD', 'SGD', 'BGN', 'KWD', 'BHD',
            'OMR', 'JOD', 'TND', 'USDT', 'USDC', 'BUSD', 'TUSD', 'FDUSD', 'DAI', 'USDP', 'PYUSD', 'GUSD', 'USDE',
            'USDS', 'EURC', 'EURT', 'EURI') THEN 1
        WHEN NEW.currency IN ('XRP') THEN 0.5
        WHEN NEW.currency IN ('SOL') THEN 0.005
        WHEN NEW.currency IN ('BNB') THEN 0.001
        WHEN NEW.currency IN ('ETH') THEN 0.0005
        WHEN NEW.currency IN ('BTC', 'XBT') THEN 0.00001
        ELSE 0
    END;
BEGIN
    NEW.min_commission := coalesce(NEW.min_commission, dollar);
    NEW.min_notional := coalesce(NEW.min_notional, 10 * dollar);
    RETURN NEW;
END $$;

CREATE TRIGGER paper_config_amounts BEFORE INSERT ON paper_trading_config
    FOR EACH ROW WHEN (NEW.min_commission IS NULL OR NEW.min_notional IS NULL) EXECUTE FUNCTION paper_config_amounts();
