//! What one client does, again and again.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use super::connection::Connection;
use super::dice::Dice;
use super::drive::{Kind, Tally};
use super::push;
use crate::content::Template;
use crate::error::BenchError;
use crate::image::Image;

/// docker uploads up to five layers at once (`max-concurrent-uploads`).
const IMAGE_CONNECTIONS: usize = 5;
/// One operation in ten of the mixed load is a push.
const PUSH_ONE_IN: usize = 10;

/// The operation that a turn repeats, prepared for one server.
#[derive(Debug)]
pub enum Work {
    /// GET one thing.
    Fetch {
        /// The request, ready to send.
        request: Vec<u8>,
    },
    /// GET one thing after the other.
    Series {
        /// The requests, ready to send.
        requests: Vec<Vec<u8>>,
        /// How many were sent.
        sent: Cell<usize>,
    },
    /// Push a new blob.
    PushBlob {
        /// The `Host` header's value.
        host: String,
        /// What to push.
        template: Rc<Template>,
    },
    /// Push a new image.
    PushImage {
        /// The `Host` header's value.
        host: String,
        /// A template for each layer.
        layers: Vec<Rc<Template>>,
        /// The configuration's template.
        config: Rc<Template>,
    },
    /// Nine pulls (a manifest, then a blob) for each push of a blob.
    Mixed {
        /// The `Host` header's value.
        host: String,
        /// GETs of manifests.
        manifests: Vec<Vec<u8>>,
        /// GETs of blobs, as frequent as their sizes are in the wild.
        blobs: Vec<Vec<u8>>,
        /// What to push, as frequent as the sizes are in the wild.
        templates: Vec<Rc<Template>>,
    },
}

impl Work {
    /// GETs, each once; from the first again when there is none left.
    pub fn series(requests: Vec<Vec<u8>>) -> Self {
        Self::Series { requests, sent: Cell::new(0) }
    }

    /// How many connections one client keeps.
    pub fn connections(&self) -> usize {
        if matches!(self, Self::PushImage { .. }) { IMAGE_CONNECTIONS } else { 1 }
    }

    /// Does the operation once; the caller times the whole, this records what it is made of.
    pub async fn step(&self, connections: &mut [Connection], dice: &mut Dice, tally: &Tally) -> Result<(), BenchError> {
        let (connection, others) = connections.split_first_mut().ok_or(BenchError::Malformed("a client without a connection"))?;
        match self {
            Self::Fetch { request } => fetch(connection, request, tally).await,
            Self::Series { requests, sent } => {
                let number = sent.replace(sent.get() + 1) % requests.len();
                fetch(connection, &requests[number], tally).await
            }
            Self::PushBlob { host, template } => push_one(connection, host, template, tally).await,
            Self::PushImage { host, layers, config } => {
                let layers = layers.iter().map(Template::stamp).collect();
                let image = Image::new(format!("v{}", dice.next_bits()), config.stamp(), layers);
                debug_assert!(!others.is_empty(), "an image push uploads several layers at once");
                push::push_image(connections, host, &image).await?;
                tally.add_bytes(image.size_bytes());
                Ok(())
            }
            Self::Mixed { host, manifests, blobs, templates } => {
                let started = Instant::now();
                if dice.below(PUSH_ONE_IN) == 0 {
                    push_one(connection, host, &templates[dice.below(templates.len())], tally).await?;
                    tally.record(Kind::BlobPush, started.elapsed());
                    return Ok(());
                }
                fetch(connection, &manifests[dice.below(manifests.len())], tally).await?;
                let between = Instant::now();
                tally.record(Kind::ManifestGet, between - started);
                fetch(connection, &blobs[dice.below(blobs.len())], tally).await?;
                tally.record(Kind::BlobGet, between.elapsed());
                Ok(())
            }
        }
    }
}

async fn fetch(connection: &mut Connection, request: &[u8], tally: &Tally) -> Result<(), BenchError> {
    let answer = connection.ask(request).await?;
    tally.add_bytes(answer.body_bytes);
    push::expect(200, "GET", answer.status)
}

async fn push_one(connection: &mut Connection, host: &str, template: &Rc<Template>, tally: &Tally) -> Result<(), BenchError> {
    let blob = template.stamp();
    push::push_blob(connection, host, &blob).await?;
    tally.add_bytes(blob.size_bytes());
    Ok(())
}
