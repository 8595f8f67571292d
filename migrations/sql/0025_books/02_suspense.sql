-- When suspended usage was used, so that the close of a month asks for that of the month. What was suspended
-- before has no date, and neither has a record whose time cannot be read: both count in every month.

ALTER TABLE suspense ADD COLUMN used_on date;
