"""The ledger: what is true. Money, chart, journal, periods, receivables, and the plumbing."""
