//! What registries say of images: what a tag names, what an image is made of, and whether it may run.

mod clients;
mod contents;
mod error;
mod fetching;
mod resolver;

use jiff::Timestamp;
use longshore_fleet::Image;

use crate::schedule::ImageLayers;

pub use error::ImageError;
pub use resolver::ImageResolver;

/// An image as it was when it was asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolved {
    /// It by digest: of an index, where it is for several platforms.
    pub image: Image,
    /// What a node must have to start it, by platform.
    pub layers: Vec<ImageLayers>,
}

/// Whether the registry's policies let an image run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ImageVerdict {
    /// They do, and nobody need ask again before then.
    Allowed {
        /// Until when.
        until: Timestamp,
    },
    /// They don't.
    Refused {
        /// Why not, in the registry's words.
        reason: String,
    },
}
