//! What every database must do, said once: each case runs on SQLite and on a real PostgreSQL.

mod acts;
mod breaks;
// The same server as the registry's suite has: it knows nothing of what is in it.
#[path = "../../../registry/src/state/suite/cluster.rs"]
mod cluster;
mod commits;
mod events;
mod figures;
mod layers;
mod lead;
mod lists;
mod order;
mod quotas;
mod races;
mod revisions;
mod samples;
mod sweeping;

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};
use tokio::{sync::Barrier, task::JoinSet};

use super::{PostgresState, SqliteState, State};

/// A handle on a state, whichever it is.
type Shared = Arc<dyn State>;

/// A state of one test, and a way to look at its tables.
struct Subject {
    state: Shared,
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
        let state = SqliteState::open(&folder.path().join("orchestrator.db"), 4).await.unwrap();
        Self { state: Arc::new(state), place: Place::Folder(folder) }
    }

    async fn postgres() -> Self {
        let url = cluster::create_database().await;
        Self { state: connect(&url).await, place: Place::Url(url) }
    }

    /// What another replica has: on PostgreSQL a handle with connections of its own, on SQLite, which has one process, the same.
    async fn replica(&self) -> Shared {
        match &self.place {
            Place::Folder(_) => self.state.clone(),
            Place::Url(url) => connect(url).await,
        }
    }

    /// Runs a statement that both databases understand past the state; the first column of its rows, which is a text.
    async fn texts(&self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.place {
            Place::Folder(folder) => {
                let url = format!("sqlite://{}", folder.path().join("orchestrator.db").display());
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                sqlx::query(sql).fetch_all(&mut connection).await.unwrap().iter().map(|row| row.get(0)).collect()
            }
            Place::Url(url) => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                sqlx::query(sql).fetch_all(&mut connection).await.unwrap().iter().map(|row| row.get(0)).collect()
            }
        }
    }

    /// How many rows a table has.
    async fn count(&self, table: &str) -> usize {
        self.texts(&format!("SELECT CAST(COUNT(*) AS TEXT) FROM {table}")).await[0].parse().unwrap()
    }
}

async fn connect(url: &str) -> Shared {
    Arc::new(PostgresState::connect(url, 8).await.unwrap())
}

/// Runs tasks that begin together, each on one of the replicas in turn; what they came to, by number.
async fn together<T, F>(subject: &Subject, count: usize, task: impl Fn(usize, Shared) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let replicas = [subject.state.clone(), subject.replica().await];
    let start = Arc::new(Barrier::new(count));
    let mut tasks = JoinSet::new();
    for number in 0..count {
        let (start, work) = (start.clone(), task(number, replicas[number % 2].clone()));
        tasks.spawn(async move {
            start.wait().await;
            (number, work.await)
        });
    }
    let mut done = tasks.join_all().await;
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, value)| value).collect()
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

on_every_database!(answers);

async fn answers(subject: Subject) {
    subject.state.probe().await.unwrap();
    let (open, idle) = subject.state.connections();
    assert!(open >= 1 && idle <= open as usize);
}
