//! Uploads: a client's bytes on their way to their final place, in one pass.
//!
//! A [`Writer`] holds an upload's claim and is the only one that writes under it. While bytes come in it hashes them, cuts them into
//! the store's parts, and writes each part as soon as it is full, one behind the one being read. Where it stands lives in the database:
//! the offset, the hash so far, the parts, and the object that holds the bytes after the last part. Any replica can go on from there.
//!
//! Crash guarantees: every key that a writer may write follows from the upload's row, which is there before the first byte is; so
//! whatever a crash leaves behind is found from the row, and goes when the upload ends or expires.

mod begun;
mod error;
mod pieces;
mod settings;
mod writer;

pub use begun::Begun;
pub use error::UploadError;
pub use longshore_service::budget::{Budget, NoBudget};
pub use pieces::PieceHasher;
pub use settings::UploadSettings;
pub use writer::Writer;
