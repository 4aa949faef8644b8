//! The schema's history, a file a step for each database. A step that has been released never changes.

use std::borrow::Cow;

use sqlx::{
    AssertSqlSafe, SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

/// SQLite's steps.
pub fn sqlite() -> Migrator {
    migrator(&[
        ("initial", include_str!("../../migrations/sqlite/1_initial.sql")),
        ("pending changes", include_str!("../../migrations/sqlite/2_pending_changes.sql")),
        ("blob links", include_str!("../../migrations/sqlite/3_blob_links.sql")),
        ("signing keys", include_str!("../../migrations/sqlite/4_signing_keys.sql")),
        ("accounts", include_str!("../../migrations/sqlite/5_accounts.sql")),
        ("issuers", include_str!("../../migrations/sqlite/6_issuers.sql")),
        ("account certificates", include_str!("../../migrations/sqlite/7_account_certificates.sql")),
        ("policies", include_str!("../../migrations/sqlite/8_policies.sql")),
        ("audit", include_str!("../../migrations/sqlite/9_audit.sql")),
        ("audit noters", include_str!("../../migrations/sqlite/10_audit_noters.sql")),
        ("outbox order", include_str!("../../migrations/sqlite/11_outbox_order.sql")),
        ("namespace roles", include_str!("../../migrations/sqlite/12_namespace_roles.sql")),
    ])
}

/// PostgreSQL's steps.
pub fn postgres() -> Migrator {
    migrator(&[
        ("initial", include_str!("../../migrations/postgres/1_initial.sql")),
        ("pending changes", include_str!("../../migrations/postgres/2_pending_changes.sql")),
        ("blob links", include_str!("../../migrations/postgres/3_blob_links.sql")),
        ("signing keys", include_str!("../../migrations/postgres/4_signing_keys.sql")),
        ("accounts", include_str!("../../migrations/postgres/5_accounts.sql")),
        ("issuers", include_str!("../../migrations/postgres/6_issuers.sql")),
        ("account certificates", include_str!("../../migrations/postgres/7_account_certificates.sql")),
        ("policies", include_str!("../../migrations/postgres/8_policies.sql")),
        ("audit", include_str!("../../migrations/postgres/9_audit.sql")),
        ("audit noters", include_str!("../../migrations/postgres/10_audit_noters.sql")),
        ("outbox order", include_str!("../../migrations/postgres/11_outbox_order.sql")),
        ("namespace roles", include_str!("../../migrations/postgres/12_namespace_roles.sql")),
    ])
}

fn migrator(steps: &[(&'static str, &'static str)]) -> Migrator {
    let steps = (1..).zip(steps).map(|(version, (description, sql))| {
        Migration::new(version, Cow::Borrowed(description), MigrationType::Simple, AssertSqlSafe(*sql).into_sql_str(), false)
    });
    Migrator { migrations: steps.collect(), ..Migrator::DEFAULT }
}
