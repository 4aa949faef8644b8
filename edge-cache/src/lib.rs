//! Keeps blobs near: a piece store on disk, a hot tier in memory, and a pull surface over HTTP.
//!
//! A blob is pieces of 1 MiB. What is not here is asked for once, however many want it, and no byte of it is kept that was not
//! found right. [`store`], [`blobs`] and [`source`] stand alone: a node's cache is made of them too.

mod app;
pub mod blobs;
pub mod config;
mod control;
mod edge;
mod error;
pub mod events;
mod first_byte;
mod forgetting;
pub mod grants;
mod here;
mod hot;
mod http;
mod images;
pub mod names;
pub mod neighbours;
mod origin;
pub mod prewarm;
mod seldom;
mod sent;
mod showing;
mod single;
pub mod site;
pub mod source;
mod sources;
mod start;
pub mod statements;
pub mod store;
pub mod supply;
mod tags;
mod turns;
pub mod upstream;
mod via;
mod vouching;

pub use longshore_oci::piece;

pub use app::App;
pub use config::{Config, DAEMON};
pub use edge::{Edge, Upstreams};
pub use origin::Origin;
pub use sources::Sources;
pub use start::{StartError, build};
pub use vouching::{Vouching, VouchingError};
