use std::sync::Arc;

use bytes::Bytes;

use crate::hot::Room;

/// Bytes that count against the budget as long as they are held, together with others of the same room.
pub struct Chunk {
    bytes: Bytes,
    _room: Arc<Room>,
}

impl Chunk {
    /// These bytes, as they are handed on.
    pub fn bytes(bytes: Bytes, room: Arc<Room>) -> Bytes {
        Bytes::from_owner(Self { bytes, _room: room })
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
