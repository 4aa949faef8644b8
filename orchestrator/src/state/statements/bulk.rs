//! Many rows in few statements.
//!
//! A statement over so many rows is prepared once for a number of rows. So rows go in portions of a few sizes alone, whatever their
//! number: the database knows each statement after its first time.

use sqlx::AssertSqlSafe;

use super::super::push_place;
use super::{Connection, Query, Result};

/// How many rows a statement has. The largest keeps any table's values below SQLite's 32,766.
const PORTIONS: [usize; 4] = [256, 32, 4, 1];

/// A statement over rows: what stands before them, how many values each has, and what stands after them.
pub struct Bulk {
    /// `INSERT INTO … VALUES`.
    pub before: &'static str,
    /// How many values a row has.
    pub columns: usize,
    /// `ON CONFLICT …`.
    pub after: &'static str,
}

impl Bulk {
    /// Runs it over all rows, each bound by `bind`; how many rows it has changed.
    pub async fn run<T: Sync>(
        &self,
        connection: &mut Connection,
        rows: &[T],
        bind: impl Fn(Query, &T) -> Result<Query>,
    ) -> Result<u64> {
        let (mut changed, mut left) = (0, rows);
        while !left.is_empty() {
            let count = PORTIONS.into_iter().find(|count| *count <= left.len()).unwrap_or(1);
            let (portion, rest) = left.split_at(count);
            let mut query = sqlx::query(AssertSqlSafe(self.sql(count)));
            for row in portion {
                query = bind(query, row)?;
            }
            changed += query.execute(&mut *connection).await?.rows_affected();
            left = rest;
        }
        Ok(changed)
    }

    fn sql(&self, rows: usize) -> String {
        let mut sql = String::with_capacity(self.before.len() + self.after.len() + 2 + rows * (4 + self.columns * 7));
        sql.push_str(self.before);
        for row in 0..rows {
            sql.push_str(if row == 0 { " (" } else { ", (" });
            for column in 1..=self.columns {
                sql.push_str(if column == 1 { "" } else { ", " });
                push_place(&mut sql, row * self.columns + column);
            }
            sql.push(')');
        }
        sql.push(' ');
        sql.push_str(self.after);
        sql
    }
}
