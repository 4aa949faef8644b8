//! The statements, written once and compiled for each database: this folder is a module of `sqlite` and of `postgres`, and
//! `super::Db` is the database of whichever it is in.
//!
//! What is SQL here both databases understand; where one needs more (a lock, the elements of an array), its own file says so. Counts,
//! lengths and times are `i64`, as the databases keep them.

pub mod answers;
pub mod audit;
pub mod bulk;
pub mod changes;
pub mod column;
pub mod events;
pub mod join_tokens;
pub mod layers;
pub mod lead;
pub mod namespaces;
pub mod nodes;
pub mod operations;
pub mod pods;
pub mod revisions;
pub mod rollouts;
pub mod seen;
pub mod sweep;
pub mod workloads;

use sqlx::Database;

use super::super::StateError;
pub use super::Db;

/// A connection, inside a transaction or not.
pub type Connection = <Db as Database>::Connection;
/// A row of an answer.
pub type Row = <Db as Database>::Row;
/// A statement with its values.
pub type Query = sqlx::query::Query<'static, Db, <Db as Database>::Arguments>;
/// What a statement comes to.
pub type Result<T> = std::result::Result<T, StateError>;
