use bytes::Bytes;
use longshore_oci::{
    RepositoryName,
    piece::{Geometry, PieceIndex, PieceSet},
};

use super::{
    Frame, Hello, InvalidFrame, Kind, MOST_METAINFO_BYTES, MOST_PIECES, MOST_REASON_BYTES, MOST_TOKEN_BYTES, Open, Opened, Token,
    TopicId, fields::Fields, kind::MOST_DIGEST_BYTES,
};
use crate::topic::{MOST_REGISTRY_BYTES, Topic};

impl Frame {
    /// Reads a frame's body. What is kept of it is copied.
    pub fn decode(kind: Kind, body: &[u8]) -> Result<Self, InvalidFrame> {
        decode(kind, body, Bytes::copy_from_slice)
    }

    /// Reads a frame's body, and keeps a metainfo where it lies.
    pub fn decode_shared(kind: Kind, body: &Bytes) -> Result<Self, InvalidFrame> {
        decode(kind, body, |part| body.slice_ref(part))
    }
}

fn decode(kind: Kind, body: &[u8], keep: impl FnOnce(&[u8]) -> Bytes) -> Result<Frame, InvalidFrame> {
    let mut fields = Fields::of(kind, body);
    let frame = match kind {
        // What a later version says after it is for those who know it.
        Kind::Hello => return hello(&mut fields).map(Frame::Hello),
        Kind::Open => Frame::Open(open(&mut fields)?),
        Kind::Opened => return opened(fields, keep).map(Frame::Opened),
        Kind::Refused => Frame::Refused { id: id(&mut fields)? },
        Kind::Have => Frame::Have { id: id(&mut fields)?, piece: piece(&mut fields)? },
        Kind::Ask => Frame::Ask { id: id(&mut fields)?, piece: piece(&mut fields)? },
        Kind::Cancel => Frame::Cancel { id: id(&mut fields)?, piece: piece(&mut fields)? },
        Kind::Rejected => {
            let (id, piece) = (id(&mut fields)?, piece(&mut fields)?);
            Frame::Rejected { id, piece, retry_after_ms: fields.u32("retry-after")? }
        }
        // Its bytes go elsewhere, so whoever reads frames has not come here with one.
        Kind::Block => return Err(fields.malformed("place")),
        Kind::Close => Frame::Close { id: id(&mut fields)? },
        Kind::Introduce => Frame::Introduce { id: id(&mut fields)?, records: fields.records()? },
        Kind::Ping => Frame::Ping,
        Kind::Pong => Frame::Pong,
        Kind::Bye => Frame::Bye { reason: fields.text(MOST_REASON_BYTES, "reason")?.to_owned() },
    };
    fields.end()?;
    Ok(frame)
}

fn id(fields: &mut Fields<'_>) -> Result<TopicId, InvalidFrame> {
    fields.u32("id").map(TopicId)
}

fn piece(fields: &mut Fields<'_>) -> Result<PieceIndex, InvalidFrame> {
    fields.u32("piece").map(PieceIndex)
}

fn hello(fields: &mut Fields<'_>) -> Result<Hello, InvalidFrame> {
    let version = fields.u16("version")?;
    if version == 0 {
        return Err(fields.malformed("version"));
    }
    let (locality, addresses) = (fields.locality()?, fields.addresses()?);
    let proof = if fields.flag("proof")? { Some(fields.array("proof")?) } else { None };
    Ok(Hello { version, locality, addresses, proof })
}

fn open(fields: &mut Fields<'_>) -> Result<Open, InvalidFrame> {
    let id = id(fields)?;
    let registry = fields.text(MOST_REGISTRY_BYTES, "registry")?.into();
    let repository = fields.text(RepositoryName::MAX_LENGTH, "repository")?;
    let repository = repository.parse().map_err(|_| fields.malformed("repository"))?;
    let digest = fields.text(MOST_DIGEST_BYTES, "digest")?.parse().map_err(|_| fields.malformed("digest"))?;
    let want_metainfo = fields.flag("want of metainfo")?;
    let token = if fields.flag("token")? { Some(Token(fields.text(MOST_TOKEN_BYTES, "token")?.to_owned())) } else { None };
    Ok(Open { id, topic: Topic { registry, repository, digest }, token, want_metainfo })
}

fn opened(mut fields: Fields<'_>, keep: impl FnOnce(&[u8]) -> Bytes) -> Result<Opened, InvalidFrame> {
    let id = id(&mut fields)?;
    let geometry = Geometry::new(fields.u64("size")?).filter(|geometry| geometry.pieces() <= MOST_PIECES);
    let geometry = geometry.ok_or_else(|| fields.malformed("size"))?;
    let length = usize::try_from(geometry.pieces().div_ceil(64)).expect("32 bits fit") * 8;
    let pieces = PieceSet::from_bytes(geometry.pieces(), fields.bytes(length, "pieces")?);
    let pieces = pieces.ok_or_else(|| fields.malformed("pieces"))?;
    if !fields.flag("metainfo")? {
        fields.end()?;
        return Ok(Opened { id, geometry, pieces, metainfo: None });
    }
    let too_long = fields.malformed("metainfo");
    let metainfo = Some(fields.rest()).filter(|metainfo| metainfo.len() <= MOST_METAINFO_BYTES).ok_or(too_long)?;
    Ok(Opened { id, geometry, pieces, metainfo: Some(keep(metainfo)) })
}
