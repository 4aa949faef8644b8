-- Whose word is taken on who calls: OpenID Connect issuers. Their changes count in access_version too.
CREATE TABLE issuers (
    name TEXT PRIMARY KEY,
    -- Which of its tokens are taken, as JSON.
    trust TEXT NOT NULL,
    -- Since which changes it speaks for the same callers, as JSON.
    versions TEXT NOT NULL,
    revision INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
