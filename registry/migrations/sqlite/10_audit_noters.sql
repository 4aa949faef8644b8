-- Who notes what is no change, a process each, and the number of the last batch that it put into the outbox: one whose commit's answer
-- was lost is not put there again.
CREATE TABLE audit_noters (
    noter TEXT PRIMARY KEY,
    batch INTEGER NOT NULL,
    noted_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
