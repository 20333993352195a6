"""Messages about trading: who gets which, at what time, and when a drawdown is one."""
