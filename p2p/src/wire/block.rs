use longshore_oci::piece::PieceIndex;

use super::{BLOCK_BYTES, HEAD_BYTES, Head, InvalidFrame, Kind, TopicId};

/// The length of a block's head together with its frame's, in bytes.
pub(super) const BLOCK_HEAD_BYTES: usize = HEAD_BYTES + 12;

/// What a block is of; its bytes follow, and are never in the way of who reads heads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BlockHead {
    /// The topic.
    pub id: TopicId,
    /// The piece.
    pub piece: PieceIndex,
    /// Where in the piece its bytes begin.
    pub offset_bytes: u32,
    /// How many there are, from 1 to [`BLOCK_BYTES`].
    pub length_bytes: u32,
}

impl BlockHead {
    /// The length of it in a frame's body, in bytes.
    pub const BYTES: usize = BLOCK_HEAD_BYTES - HEAD_BYTES;

    /// Reads one at the beginning of a frame's body that is so long.
    pub fn decode(bytes: [u8; Self::BYTES], body_bytes: usize) -> Result<Self, InvalidFrame> {
        let malformed = || InvalidFrame::Malformed { kind: Kind::Block, part: "length" };
        let length =
            body_bytes.checked_sub(Self::BYTES).filter(|length| (1..=BLOCK_BYTES).contains(length)).ok_or_else(malformed)?;
        let (numbers, _) = bytes.as_chunks::<4>();
        let number = |at: usize| u32::from_le_bytes(numbers[at]);
        Ok(Self {
            id: TopicId(number(0)),
            piece: PieceIndex(number(1)),
            offset_bytes: number(2),
            length_bytes: u32::try_from(length).expect("no longer than a block"),
        })
    }

    /// Writes all of the frame that goes before the block's bytes.
    pub fn encode(self) -> Result<[u8; BLOCK_HEAD_BYTES], InvalidFrame> {
        let length = usize::try_from(self.length_bytes).expect("32 bits fit");
        if length == 0 {
            return Err(InvalidFrame::Malformed { kind: Kind::Block, part: "length" });
        }
        let mut bytes = [0; BLOCK_HEAD_BYTES];
        let (head, numbers) = bytes.split_at_mut(HEAD_BYTES);
        head.copy_from_slice(&Head::encode(Kind::Block, Self::BYTES + length)?);
        for (place, number) in numbers.as_chunks_mut::<4>().0.iter_mut().zip([self.id.0, self.piece.0, self.offset_bytes]) {
            *place = number.to_le_bytes();
        }
        Ok(bytes)
    }
}
