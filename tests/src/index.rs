use std::path::PathBuf;

use sqlx::{Connection, Executor, PgConnection, Row, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::Database;

/// A registry's database, looked at from beside it.
#[derive(Clone, Debug)]
pub enum Index {
    /// The file of SQLite.
    Sqlite(PathBuf),
    /// A database of PostgreSQL.
    Postgres(Database),
}

impl Index {
    /// The first column, a text, of every row that `query` finds.
    pub async fn texts(&self, query: &str) -> Vec<String> {
        let sql = sqlx::AssertSqlSafe(query.to_owned());
        match self {
            Self::Sqlite(file) => {
                let rows = sqlite(file).await.fetch_all(sql).await;
                rows.unwrap_or_else(|error| panic!("{query}: {error}")).iter().map(|row| row.get(0)).collect()
            }
            Self::Postgres(database) => {
                let rows = postgres(database).await.fetch_all(sql).await;
                rows.unwrap_or_else(|error| panic!("{query}: {error}")).iter().map(|row| row.get(0)).collect()
            }
        }
    }

    /// The one number that `query` finds, a 64-bit integer.
    pub async fn number(&self, query: &str) -> i64 {
        let sql = sqlx::AssertSqlSafe(query.to_owned());
        match self {
            Self::Sqlite(file) => sqlite(file).await.fetch_one(sql).await.map(|row| row.get(0)),
            Self::Postgres(database) => postgres(database).await.fetch_one(sql).await.map(|row| row.get(0)),
        }
        .unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    /// Runs statements, apart by semicolons.
    pub async fn execute(&self, statements: &str) {
        let sql = sqlx::AssertSqlSafe(statements.to_owned());
        match self {
            Self::Sqlite(file) => sqlite(file).await.execute(sqlx::raw_sql(sql)).await.map(drop),
            Self::Postgres(database) => postgres(database).await.execute(sqlx::raw_sql(sql)).await.map(drop),
        }
        .unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    /// Loses everything that is in it. No registry may run on it.
    pub async fn lose(&self) {
        match self {
            Self::Sqlite(file) => {
                for suffix in ["", "-wal", "-shm"] {
                    let mut path = file.clone().into_os_string();
                    path.push(suffix);
                    match std::fs::remove_file(&path) {
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{}: {error}", path.display()),
                        _ => {}
                    }
                }
            }
            Self::Postgres(database) => database.recreate().await,
        }
    }
}

async fn sqlite(file: &PathBuf) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(std::time::Duration::from_secs(30));
    SqliteConnection::connect_with(&options).await.unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

async fn postgres(database: &Database) -> PgConnection {
    PgConnection::connect_with(&database.options()).await.expect("postgres takes connections")
}
