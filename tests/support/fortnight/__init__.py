"""A fortnight in the small: a real system whose time jumps from event to event.

`TravelClock` is the program's clock, `paper_now()` is set with it, `LocalExchange` is the market, `Service` is one
process of the program on them, and `Fortnight` lives through the days.
"""
