-- What a way down must undo.
SELECT 1;
