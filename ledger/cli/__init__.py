"""Commands of the ledger: the books, who may do what, and the database under them."""
