//! Writing past the kernel's page cache.
//!
//! A large object's bytes are written once and not read soon by this process, and the cache would first have to find memory for them,
//! and then write them all at once when they must be durable. Written directly they are on the disk as they come, and little is left
//! to be synced. The kernel takes such writes from aligned memory only, in whole blocks, so the bytes are gathered in a buffer, and a
//! last block is filled up with zeros, which the caller cuts off again.

use std::{
    fs::File,
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use rustix::fs::OFlags;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What addresses, offsets and lengths are multiples of (open(2), "`O_DIRECT`"). Where a disk wants more, nothing is written so.
const BLOCK_BYTES: usize = 4096;
/// How many write at once, each with a buffer: enough that the disk always has something to do.
const AT_ONCE: usize = 8;

/// The buffers, and whether the file system takes such writes at all.
#[derive(Debug)]
pub(super) struct Direct {
    is_supported: bool,
    buffer_bytes: usize,
    slots: Arc<Semaphore>,
    free: Mutex<Vec<Buffer>>,
}

/// Leave to write directly, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

#[derive(Debug)]
struct Buffer {
    memory: Box<[u8]>,
    start: usize,
}

impl Direct {
    /// Finds out whether files in `folder` can be written so; `most_bytes` is the most that one write has.
    pub fn of(folder: &Path, most_bytes: u64) -> io::Result<Self> {
        let buffer_bytes = usize::try_from(most_bytes).map_err(io::Error::other)?;
        let probe = folder.join("direct");
        let block = Bytes::from_static(&[0; BLOCK_BYTES]);
        let written = File::create(&probe)
            .and_then(|_| open(&probe)?.write_all_at(Buffer::new(BLOCK_BYTES).fill(std::slice::from_ref(&block))?, 0));
        let is_supported = written.is_ok() && buffer_bytes.is_multiple_of(BLOCK_BYTES);
        std::fs::remove_file(&probe)?;
        Ok(Self { is_supported, buffer_bytes, slots: Arc::new(Semaphore::new(AT_ONCE)), free: Mutex::default() })
    }

    /// Waits for leave to write directly. `None` where the file system takes no such writes.
    pub async fn slot(&self) -> Option<Slot> {
        if !self.is_supported {
            return None;
        }
        self.slots.clone().acquire_owned().await.ok().map(Slot)
    }

    /// Writes the content at `offset` of the file at the path, and zeros after it up to a whole block.
    pub fn write(&self, _: &Slot, path: &Path, content: &[Bytes], offset: u64) -> io::Result<()> {
        let file = open(path)?;
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut buffer = free.unwrap_or_else(|| Buffer::new(self.buffer_bytes));
        let written = file.write_all_at(buffer.fill(content)?, offset);
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
        written
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::DIRECT.bits()).map_err(io::Error::other)?;
    File::options().write(true).custom_flags(flags).open(path)
}

impl Buffer {
    fn new(size_bytes: usize) -> Self {
        let memory = vec![0; size_bytes + BLOCK_BYTES].into_boxed_slice();
        let start = memory.as_ptr().align_offset(BLOCK_BYTES);
        Self { memory, start }
    }

    /// The content in whole blocks.
    fn fill(&mut self, content: &[Bytes]) -> io::Result<&[u8]> {
        let size_bytes: usize = content.iter().map(Bytes::len).sum();
        let whole_bytes = size_bytes.next_multiple_of(BLOCK_BYTES);
        if whole_bytes > self.memory.len() - BLOCK_BYTES {
            return Err(io::Error::other("more than a part in one write"));
        }
        let room = &mut self.memory[self.start..];
        let mut at = 0;
        for chunk in content {
            room[at..at + chunk.len()].copy_from_slice(chunk);
            at += chunk.len();
        }
        room[at..whole_bytes].fill(0);
        Ok(&room[..whole_bytes])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn writes_what_it_was_given_and_zeros_to_the_blocks_end() {
        // The folder of temporary files may be one in memory, which need not take such writes.
        let folder = tempfile::tempdir_in(std::env::current_exe().unwrap().parent().unwrap()).unwrap();
        let direct = Direct::of(folder.path(), 1 << 20).unwrap();
        let Some(slot) = direct.slot().await else { panic!("the file system takes no direct writes") };
        let path = folder.path().join("file");
        File::create(&path).unwrap();
        let content = [Bytes::from(vec![1; 5000]), Bytes::new(), Bytes::from(vec![2; 3000])];
        direct.write(&slot, &path, &content, 0).unwrap();
        direct.write(&slot, &path, &[Bytes::from(vec![3; 1 << 20])], 8192).unwrap();
        let read = std::fs::read(&path).unwrap();
        assert_eq!(read.len(), 8192 + (1 << 20));
        assert_eq!(read[..8000], content.concat());
        assert!(read[8000..8192].iter().all(|byte| *byte == 0));
        assert!(read[8192..].iter().all(|byte| *byte == 3));
        assert!(direct.write(&slot, &path, &[Bytes::from(vec![3; (1 << 20) + 1])], 0).is_err());
        assert!(direct.write(&slot, &path, &[Bytes::from_static(b"x")], 1).is_err(), "the kernel refuses it");
    }
}
