//! What every database must do, said once: each case runs on SQLite and on a real PostgreSQL.

mod accounts;
mod audit;
mod blobs;
mod changes;
mod cluster;
mod garbage;
mod images;
mod issuers;
mod journal;
mod keys;
mod lists;
mod manifests;
mod outbox;
mod policies;
mod races;
mod referrers;
mod replay;
mod retention;
mod samples;
mod scale;
mod tenure;
mod uploads;

use std::{sync::Arc, time::Duration};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};

use super::{PostgresState, SharedState, SqliteState, Tenancy};

/// A state of one test, and a way to look at its tables.
struct Subject {
    state: SharedState,
    place: Place,
}

/// Where a state's tables are.
enum Place {
    /// An SQLite file's folder, which goes with the test.
    Folder(tempfile::TempDir),
    /// A PostgreSQL database's URL.
    Url(String),
}

impl Subject {
    async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = SqliteState::open(&folder.path().join("registry.db"), 4).await.unwrap();
        Self { state: Arc::new(state), place: Place::Folder(folder) }
    }

    async fn postgres() -> Self {
        let url = cluster::create_database().await;
        Self { state: connect(&url).await, place: Place::Url(url) }
    }

    /// What another replica has: on PostgreSQL a handle with connections of its own, on SQLite, which has one process, the same.
    async fn replica(&self) -> SharedState {
        match &self.place {
            Place::Folder(_) => self.state.clone(),
            Place::Url(url) => connect(url).await,
        }
    }

    /// The one text column of a query that both databases understand.
    async fn texts(&self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.place {
            Place::Folder(folder) => {
                let mut connection = SqliteConnection::connect(&sqlite_url(folder)).await.unwrap();
                let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
            Place::Url(url) => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }

    /// Runs a statement that both databases understand, for more rows than a test has time to push.
    async fn execute(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.place {
            Place::Folder(folder) => {
                let mut connection = SqliteConnection::connect(&sqlite_url(folder)).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            }
            Place::Url(url) => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            }
        }
    }

    /// The outbox, oldest first: kind, repository, the digest's first eight digits, and tag.
    async fn events(&self) -> Vec<String> {
        self.texts(
            "SELECT kind || ' ' || repository || COALESCE(' ' || substr(digest, 8, 8), '') || COALESCE(' ' || tag, '')
             FROM events ORDER BY id",
        )
        .await
    }

    /// How many rows a table has.
    async fn count(&self, table: &str) -> usize {
        self.texts(&format!("SELECT CAST(COUNT(*) AS TEXT) FROM {table}")).await[0].parse().unwrap()
    }
}

async fn connect(url: &str) -> SharedState {
    Arc::new(PostgresState::connect(url, Tenancy::Shared, 8, Duration::from_mins(1)).await.unwrap())
}

fn sqlite_url(folder: &tempfile::TempDir) -> String {
    format!("sqlite://{}", folder.path().join("registry.db").display())
}

/// Runs each case, an async function of a [`Subject`], as a test on each database.
macro_rules! on_every_database {
    ($($case:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test] async fn $case() { super::$case(crate::state::suite::Subject::sqlite().await).await; })*
        }
        mod on_postgres {
            $(#[tokio::test] async fn $case() { super::$case(crate::state::suite::Subject::postgres().await).await; })*
        }
    };
}
use on_every_database;

on_every_database!(answers_and_knows_whether_it_is_whole, numbers_changes_upwards);

async fn answers_and_knows_whether_it_is_whole(subject: Subject) {
    let state = &subject.state;
    state.probe().await.unwrap();
    assert!(state.needs_rebuilding().await.unwrap());
    assert!(state.connections().0 >= 1);
    samples::commit(state, "library/alpine", "layer").await;
    assert!(!state.needs_rebuilding().await.unwrap());
    state.clear().await.unwrap();
    samples::commit(state, "library/alpine", "layer").await;
    assert!(state.needs_rebuilding().await.unwrap(), "a rebuilding began and did not end");
    state.finish_rebuilding().await.unwrap();
    assert!(!state.needs_rebuilding().await.unwrap());
}

async fn numbers_changes_upwards(subject: Subject) {
    let other = subject.replica().await;
    let name = samples::repository("a/b");
    let mut last = 0;
    for _ in 0..50 {
        for state in [&subject.state, &other] {
            let next = state.begin_change(&name).await.unwrap();
            assert!(next > last, "{next} after {last}");
            last = next;
        }
    }
    let far = last + 1_000_000_000_000;
    subject.state.resume_revisions(far).await.unwrap();
    assert!(other.begin_change(&name).await.unwrap() > far);
    subject.state.resume_revisions(1).await.unwrap();
    assert!(other.begin_change(&name).await.unwrap() > far, "resuming never goes back");
}
