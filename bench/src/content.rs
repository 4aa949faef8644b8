//! Blobs that are all different and cost next to nothing to make.
//!
//! Every blob of one size shares a prefix of noise, whose hash state is kept, and differs in its last 64 bytes; so the digest of a new
//! blob of 1 GiB costs one SHA-256 block, and its body is the same prepared memory sent again.

use std::cell::Cell;
use std::io::Write as _;
use std::path::Path;
use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use crate::error::BenchError;
use crate::load::connection::Connection;
use crate::load::dice::Dice;

const TAIL_BYTES: usize = 64;
/// docker's client streams a layer in chunks of at most this size (Go's `io.Copy` buffer).
const CHUNK_BYTES: usize = 32 * 1024;
const SEGMENT_BYTES: usize = 256 * CHUNK_BYTES;
/// Up to this size a request's head and body leave in one write.
const ONE_WRITE_BYTES: usize = 64 * 1024;

/// Noise that does not compress, plain and framed as HTTP chunks, and the source of what makes blobs differ.
#[derive(Debug)]
pub struct Noise {
    plain: Vec<u8>,
    chunked: Vec<u8>,
    run: u64,
    stamped: Cell<u64>,
}

impl Noise {
    /// Noise of a segment's length; `run` sets this run's blobs apart from those of every other.
    pub fn new(run: u64) -> Self {
        let plain = bytes(0x6c6f_6e67_7368_6f72, SEGMENT_BYTES);
        let chunked = chunked(&plain);
        Self { plain, chunked, run, stamped: Cell::new(0) }
    }

    /// A blob no part of which is in another one, for who would know it again by its parts.
    pub fn blob(&self, size_bytes: u64) -> Blob {
        self.stamped.set(self.stamped.get() + 1);
        let plain = bytes(self.run ^ self.stamped.get().rotate_left(32), usize::try_from(size_bytes).unwrap_or(usize::MAX));
        // All of it is less than a segment, so no segment is sent.
        let noise = Self { plain, chunked: Vec::new(), run: self.run, stamped: self.stamped.clone() };
        Rc::new(Template::new(&Rc::new(noise), size_bytes)).stamp()
    }

    /// 64 bytes that no other blob has.
    fn tail(&self) -> [u8; TAIL_BYTES] {
        self.stamped.set(self.stamped.get() + 1);
        let mut tail = [b'.'; TAIL_BYTES];
        tail[..32].copy_from_slice(format!("{:016x}{:016x}", self.run, self.stamped.get()).as_bytes());
        tail
    }
}

/// All blobs of one size.
#[derive(Debug)]
pub struct Template {
    /// The size of each blob, in bytes.
    pub size_bytes: u64,
    noise: Rc<Noise>,
    segments: u64,
    rest: usize,
    rest_chunked: Vec<u8>,
    prefix: Sha256,
}

impl Template {
    /// Prepares blobs of `size_bytes`, at least 64. Hashes the prefix once.
    pub fn new(noise: &Rc<Noise>, size_bytes: u64) -> Self {
        let prefix_bytes = size_bytes.saturating_sub(TAIL_BYTES as u64);
        let segment_bytes = noise.plain.len() as u64;
        let segments = prefix_bytes / segment_bytes;
        let rest = usize::try_from(prefix_bytes % segment_bytes).unwrap_or_default();
        let mut prefix = Sha256::new();
        for _ in 0..segments {
            prefix.update(&noise.plain);
        }
        prefix.update(&noise.plain[..rest]);
        let rest_chunked = chunked(&noise.plain[..rest]);
        Self { size_bytes: prefix_bytes + TAIL_BYTES as u64, noise: Rc::clone(noise), segments, rest, rest_chunked, prefix }
    }

    /// A blob nobody has seen.
    pub fn stamp(self: &Rc<Self>) -> Blob {
        let tail = self.noise.tail();
        let mut hasher = self.prefix.clone();
        hasher.update(tail);
        Blob { digest: format!("sha256:{}", hex::encode(hasher.finalize())), tail, template: Rc::clone(self) }
    }
}

/// One blob: a digest, and a body that can be sent or written.
#[derive(Debug, Clone)]
pub struct Blob {
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    tail: [u8; TAIL_BYTES],
    template: Rc<Template>,
}

impl Blob {
    /// The size in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.template.size_bytes
    }

    /// Sends `head` and the blob as a chunked body.
    pub async fn send(&self, connection: &mut Connection, head: &[u8]) -> Result<(), BenchError> {
        let template = &self.template;
        let small = template.segments == 0 && template.rest < ONE_WRITE_BYTES;
        let mut last = Vec::with_capacity(head.len() + TAIL_BYTES + 32 + if small { template.rest_chunked.len() } else { 0 });
        if small {
            last.extend_from_slice(head);
            last.extend_from_slice(&template.rest_chunked);
        } else {
            connection.send(head).await?;
            for _ in 0..template.segments {
                connection.send(&template.noise.chunked).await?;
            }
            connection.send(&template.rest_chunked).await?;
        }
        last.extend_from_slice(&chunked(&self.tail));
        last.extend_from_slice(b"0\r\n\r\n");
        connection.send(&last).await
    }

    /// Writes the blob as a file.
    pub fn write(&self, path: &Path) -> Result<(), BenchError> {
        let write = || {
            let mut file = std::fs::File::create(path)?;
            for _ in 0..self.template.segments {
                file.write_all(&self.template.noise.plain)?;
            }
            file.write_all(&self.template.noise.plain[..self.template.rest])?;
            file.write_all(&self.tail)
        };
        write().map_err(BenchError::io(format!("write {}", path.display())))
    }
}

fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let mut bytes = Vec::with_capacity(count);
    while bytes.len() < count {
        bytes.extend_from_slice(&dice.next_bits().to_le_bytes());
    }
    bytes
}

/// `plain` in chunked transfer coding (RFC 9112, section 7.1), without the last chunk.
fn chunked(plain: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(plain.len() + plain.len() / CHUNK_BYTES * 8 + 16);
    for chunk in plain.chunks(CHUNK_BYTES) {
        framed.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        framed.extend_from_slice(chunk);
        framed.extend_from_slice(b"\r\n");
    }
    framed
}

#[cfg(test)]
mod tests {
    use super::{Noise, SEGMENT_BYTES, Template};
    use sha2::{Digest as _, Sha256};
    use std::rc::Rc;

    #[test]
    fn a_written_blob_has_the_size_and_digest_it_claims_and_no_two_are_alike() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let noise = Rc::new(Noise::new(1));
        for size_bytes in [64, 4096, SEGMENT_BYTES as u64 + 100, 2 * SEGMENT_BYTES as u64 + 64] {
            let template = Rc::new(Template::new(&noise, size_bytes));
            let (one, other) = (template.stamp(), template.stamp());
            assert_ne!(one.digest, other.digest);
            let path = folder.path().join("blob");
            one.write(&path).expect("the folder is writable");
            let bytes = std::fs::read(&path).expect("it was written");
            assert_eq!(bytes.len() as u64, size_bytes);
            assert_eq!(one.digest, format!("sha256:{}", hex::encode(Sha256::digest(&bytes))));
        }
    }
}
