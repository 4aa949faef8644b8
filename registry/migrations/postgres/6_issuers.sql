-- Whose word is taken on who calls: OpenID Connect issuers. Their changes count in access_version too.
CREATE TABLE issuers (
    name TEXT COLLATE "C" PRIMARY KEY,
    -- Which of its tokens are taken, as JSON.
    trust TEXT NOT NULL,
    -- Since which changes it speaks for the same callers, as JSON.
    versions TEXT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
