"""One program for each peer; it runs in that peer's environment, and so imports nothing of this project.

Each reads the arrays ``time`` (nanoseconds), ``open``, ``high``, ``low`` and ``close`` of the file that its argument
names, and buys and sells in turn, about 1/1000 of its capital, at each tenth bar. Commission is 0.1 % and slippage
0.05 %, where the program has it. It prints a JSON object with ``seconds`` of the run alone, ``bars`` and ``fills``.
"""
