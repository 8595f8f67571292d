DROP TRIGGER keep_tariff_days ON tariff_book;
DROP TABLE tariff_verdict;
DROP FUNCTION rating_keep_tariff_days(), rating_require_other_eyes();
DROP INDEX ix_tariff_book_name_valid_from;
ALTER TABLE tariff_book ADD CONSTRAINT uq_tariff_book_name_valid_from UNIQUE (name, valid_from);
ALTER TABLE tariff_book DROP COLUMN loaded_by;
