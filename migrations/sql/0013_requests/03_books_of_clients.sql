-- An API client, or a member of staff, may be limited to some books; NULL is every book.
ALTER TABLE api_client ADD COLUMN books text[]
    CONSTRAINT ck_api_client_books_not_empty CHECK (books IS NULL OR cardinality(books) > 0);
ALTER TABLE staff ADD COLUMN books text[]
    CONSTRAINT ck_staff_books_not_empty CHECK (books IS NULL OR cardinality(books) > 0);
GRANT UPDATE (books) ON api_client, staff TO hovedbok_service;
GRANT SELECT (books) ON staff TO hovedbok_auditor;
