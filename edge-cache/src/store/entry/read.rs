use std::{
    io::{self, IoSliceMut},
    num::NonZeroU64,
    sync::Arc,
};

use bytes::Bytes;
use rustix::{
    buffer::spare_capacity,
    fs::{Advice, CWD, Mode, OFlags, ResolveFlags, fadvise, openat2},
    io::{Errno, ReadWriteFlags, pread, preadv2},
};

use super::Entry;
use crate::{
    piece::PieceIndex,
    store::{
        error::ReadError,
        folder::plain,
        shared::{Shared, off_runtime},
    },
};

/// How long a piece may be that is read and hashed on the runtime's own threads, in bytes: to hand more to another thread costs
/// less than to hold up who else waits for this one.
const MOST_AT_ONCE: usize = 128 << 10;

/// What is wrong with a piece on the disk.
enum Fault {
    /// It is not what it was, and why.
    Damaged(&'static str),
    /// It can't be read now.
    Unreadable(io::Error),
}

impl Entry {
    /// A piece's bytes, checked against its hash. One that was damaged is not here any more afterwards.
    pub async fn read(self: &Arc<Self>, piece: PieceIndex) -> Result<Bytes, ReadError> {
        self.read_vec(piece).await.map(Bytes::from)
    }

    /// As [`Self::read`], as they were read.
    pub(crate) async fn read_vec(self: &Arc<Self>, piece: PieceIndex) -> Result<Vec<u8>, ReadError> {
        self.read_from(piece, false).await
    }

    /// As [`Self::read`], from the disk even where the system has it in memory.
    pub(in crate::store) async fn read_again(self: &Arc<Self>, piece: PieceIndex) -> Result<Vec<u8>, ReadError> {
        self.read_from(piece, true).await
    }

    async fn read_from(self: &Arc<Self>, piece: PieceIndex, is_from_disk: bool) -> Result<Vec<u8>, ReadError> {
        let Some(shared) = self.shared.upgrade().filter(|_| self.has(piece)) else { return Err(self.missing(piece)) };
        if !is_from_disk && let Some(bytes) = self.read_at_once(&shared, piece) {
            return Ok(bytes);
        }
        let entry = self.clone();
        off_runtime(move || entry.read_now(&shared, piece, is_from_disk)).await
    }

    /// A short piece that the system has in memory, found right, without waiting for anything. Where that can't be, whatever the
    /// reason, it is for who may wait to find out why.
    pub(in crate::store) fn read_at_once(&self, shared: &Shared, piece: PieceIndex) -> Option<Vec<u8>> {
        let range = self.geometry.bytes_of(piece);
        let length = usize::try_from(range.end - range.start).ok().filter(|length| *length <= MOST_AT_ONCE)?;
        let _held = self.hold_now()?;
        if !self.has(piece) {
            return None;
        }
        let (path, flags) = (shared.folder.blob(&self.digest), OFlags::RDONLY | plain::FLAGS);
        let file = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED).ok()?;
        let mut bytes = vec![0; length];
        let read = preadv2(&file, &mut [IoSliceMut::new(&mut bytes)], range.start, ReadWriteFlags::NOWAIT).ok()?;
        (read == length && self.hashes.is_right(piece, &bytes)).then_some(bytes)
    }

    fn read_now(&self, shared: &Shared, piece: PieceIndex, is_from_disk: bool) -> Result<Vec<u8>, ReadError> {
        let read = {
            let Some(_held) = self.hold() else { return Err(self.missing(piece)) };
            self.read_held(shared, piece, is_from_disk)?
        };
        match read {
            Ok(bytes) => Ok(bytes),
            Err(Fault::Unreadable(source)) => Err(ReadError::Io { digest: self.digest.clone(), source }),
            Err(Fault::Damaged(_)) => self.alone(|| self.read_alone(shared, piece)).unwrap_or_else(|| Err(self.missing(piece))),
        }
    }

    /// Looks again at a piece that was found damaged, as another may have found and mended it meanwhile.
    fn read_alone(&self, shared: &Shared, piece: PieceIndex) -> Result<Vec<u8>, ReadError> {
        match self.read_held(shared, piece, false)? {
            Ok(bytes) => Ok(bytes),
            Err(Fault::Unreadable(source)) => Err(ReadError::Io { digest: self.digest.clone(), source }),
            Err(Fault::Damaged(why)) => {
                self.give_up_with(shared, piece, why);
                Err(ReadError::Damaged { digest: self.digest.clone(), piece })
            }
        }
    }

    fn read_held(&self, shared: &Shared, piece: PieceIndex, is_from_disk: bool) -> Result<Result<Vec<u8>, Fault>, ReadError> {
        if !self.has(piece) {
            return Err(self.missing(piece));
        }
        Ok(match self.read_file(shared, piece, is_from_disk) {
            Ok(bytes) if self.hashes.is_right(piece, &bytes) => Ok(bytes),
            Ok(_) => Err(Fault::Damaged("its hash is another")),
            Err(error) => Err(Fault::of(error)),
        })
    }

    fn read_file(&self, shared: &Shared, piece: PieceIndex, is_from_disk: bool) -> io::Result<Vec<u8>> {
        let file = shared.folder.open_to_read(&self.digest)?;
        let range = self.geometry.bytes_of(piece);
        if is_from_disk {
            // Advice only: where it is not taken, what is in memory is checked.
            let _ = fadvise(&file, range.start, NonZeroU64::new(range.end - range.start), Advice::DontNeed);
        }
        let length = usize::try_from(range.end - range.start).expect("a piece's length fits");
        // Read into as it is: to clear it first would cost about as much as the reading.
        let mut bytes = Vec::with_capacity(length);
        let mut at = range.start;
        while at < range.end {
            match pread(&file, spare_capacity(&mut bytes), at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => at += count as u64,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // There may be room for more than was asked for.
        bytes.truncate(length);
        Ok(bytes)
    }

    fn missing(&self, piece: PieceIndex) -> ReadError {
        ReadError::Missing { digest: self.digest.clone(), piece }
    }
}

impl Fault {
    fn of(error: io::Error) -> Self {
        match error.kind() {
            _ if plain::is_not_plain(&error) => Self::Damaged("it is no plain file any more"),
            io::ErrorKind::NotFound => Self::Damaged("its file is gone"),
            io::ErrorKind::UnexpectedEof => Self::Damaged("its file is cut short"),
            _ if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => Self::Damaged("the disk can't read it"),
            _ => Self::Unreadable(error),
        }
    }
}
