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
                let mut connection = sqlite(file).await;
                let rows = connection.fetch_all(sql).await;
                end(connection).await;
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
            Self::Sqlite(file) => {
                let mut connection = sqlite(file).await;
                let row = connection.fetch_one(sql).await;
                end(connection).await;
                row.map(|row| row.get(0))
            }
            Self::Postgres(database) => postgres(database).await.fetch_one(sql).await.map(|row| row.get(0)),
        }
        .unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    /// Runs statements, apart by semicolons.
    pub async fn execute(&self, statements: &str) {
        let sql = sqlx::AssertSqlSafe(statements.to_owned());
        match self {
            Self::Sqlite(file) => {
                let mut connection = sqlite(file).await;
                let done = connection.execute(sqlx::raw_sql(sql)).await;
                end(connection).await;
                done.map(drop)
            }
            Self::Postgres(database) => postgres(database).await.execute(sqlx::raw_sql(sql)).await.map(drop),
        }
        .unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    /// Whether a text is anywhere in it: as it is, or as the hexadecimal digits of its bytes.
    pub async fn holds(&self, text: &str) -> bool {
        let digits: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        let content = self.content().await;
        let is_in = |text: &str| content.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()));
        is_in(text) || is_in(&digits)
    }

    /// All that is in it: the files of SQLite, old pages and all, or the rows of PostgreSQL.
    async fn content(&self) -> Vec<u8> {
        match self {
            Self::Sqlite(file) => {
                let wal = file.with_extension("db-wal");
                [file, &wal].into_iter().flat_map(|file| std::fs::read(file).unwrap_or_default()).collect()
            }
            Self::Postgres(_) => {
                let tables = self.texts("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'").await;
                let mut content = Vec::new();
                for table in tables {
                    for row in self.texts(&format!("SELECT t::text FROM \"{table}\" t")).await {
                        content.extend_from_slice(row.as_bytes());
                        content.push(b'\n');
                    }
                }
                content
            }
        }
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

/// Closes a connection. One that is only dropped ends later, and then takes the log of whatever database has its file's name by then.
async fn end(connection: SqliteConnection) {
    connection.close().await.expect("a connection is closed");
}

async fn postgres(database: &Database) -> PgConnection {
    PgConnection::connect_with(&database.options()).await.expect("postgres takes connections")
}
