-- Whose life a request hangs on: the number of an advisory lock that the working process holds for as
-- long as it is connected. Whoever asks again finds out at once that nobody works on it any more.

ALTER TABLE idempotency_key ADD COLUMN holder bigint;
