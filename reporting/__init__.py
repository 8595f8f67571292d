"""Documents out: invoices, aging, statements and workbooks; issuing a document posts it."""
