//! Layered configuration: defaults, then a TOML file, then the environment, then flags.
//!
//! One rule names a value everywhere. The value `bucket` of section `storage` of the daemon `registry` is
//!
//! | layer | form |
//! |---|---|
//! | file | `bucket = "x"` under `[storage]` |
//! | environment | `LONGSHORE_REGISTRY__STORAGE__BUCKET=x` |
//! | flag | `--storage.bucket x` or `--storage.bucket=x` |
//!
//! Of a section that there may be several of, `[[upstream]]` in the file, the others name one by its position, from 0:
//! `LONGSHORE_EDGE__UPSTREAM__0__URL=x`, `--upstream.0.url x`.
//!
//! A later layer replaces an earlier one's value, whole: lists do not add up. In the environment and in flags a list is
//! separated by commas. A [`Secret`] `url` may instead be named by `url_file`, a file whose content is the secret.
//!
//! Nothing stops at the first mistake. [`load`] gathers what is wrong in every layer and hands back [`Mistakes`], each
//! with its file and line, its variable or its flag.
//!
//! A daemon describes its configuration with plain structs, `Default`, and two macros:
//!
//! ```
//! use longshore_service::config::{self, ByteSize, Layout, Problems};
//!
//! #[derive(Clone, Debug)]
//! struct Storage {
//!     bucket: String,
//!     part_size: ByteSize,
//! }
//!
//! impl Default for Storage {
//!     fn default() -> Self {
//!         Self { bucket: String::new(), part_size: ByteSize::mebibytes(8) }
//!     }
//! }
//! longshore_service::settings!(Storage { bucket, part_size });
//!
//! #[derive(Clone, Debug, Default)]
//! struct Config {
//!     storage: Storage,
//! }
//! longshore_service::sections!(Config { storage });
//!
//! impl Layout for Config {
//!     fn check(&self, problems: &mut Problems<'_>) {
//!         if self.storage.bucket.is_empty() {
//!             problems.add(&["storage.bucket"], "the store needs a bucket");
//!         }
//!     }
//! }
//!
//! let flags = vec![("storage.bucket".to_owned(), "images".to_owned())];
//! let loaded = config::load::<Config>("registry", None, std::iter::empty(), flags).unwrap();
//! assert_eq!(loaded.config.storage.bucket, "images");
//! ```

mod byte_size;
mod choice;
mod document;
mod duration;
mod environment;
mod flags;
mod given;
mod http_url;
mod layer;
mod layout;
mod listen;
mod load;
mod logs;
mod mistake;
mod network;
mod problems;
mod render;
mod secret;
mod setting;
mod suggestion;

pub use byte_size::ByteSize;
pub use duration::Duration;
pub use environment::process_environment;
pub use flags::{Arguments, split_flags};
pub use given::Given;
pub use http_url::HttpUrl;
pub use layout::{Layout, Section, SectionList, Sections};
pub use listen::{ClientCertificates, Listen};
pub use load::{Loaded, load, load_text};
pub use logs::{Log, Telemetry};
pub use mistake::{Mistake, Mistakes, Source};
pub use network::Network;
pub use problems::Problems;
pub use secret::Secret;
pub use setting::{Setting, quote, quote_all};
pub use suggestion::closest;

#[cfg(test)]
mod tests;
