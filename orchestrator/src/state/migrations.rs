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
        ("order of revisions", include_str!("../../migrations/sqlite/2_order_of_revisions.sql")),
        ("refusals", include_str!("../../migrations/sqlite/3_refusals.sql")),
    ])
}

/// PostgreSQL's steps.
pub fn postgres() -> Migrator {
    migrator(&[
        ("initial", include_str!("../../migrations/postgres/1_initial.sql")),
        ("order of revisions", include_str!("../../migrations/postgres/2_order_of_revisions.sql")),
        ("refusals", include_str!("../../migrations/postgres/3_refusals.sql")),
    ])
}

fn migrator(steps: &[(&'static str, &'static str)]) -> Migrator {
    let steps = (1..).zip(steps).map(|(version, (description, sql))| {
        Migration::new(version, Cow::Borrowed(description), MigrationType::Simple, AssertSqlSafe(*sql).into_sql_str(), false)
    });
    Migrator { migrations: steps.collect(), ..Migrator::DEFAULT }
}
