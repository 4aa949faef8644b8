use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use longshore_oci::{RepositoryName, piece::PieceSet};

use super::{
    Frame, HEAD_BYTES, Head, Hello, InvalidFrame, Kind, MOST_METAINFO_BYTES, MOST_PIECES, MOST_REASON_BYTES, MOST_RECORDS,
    MOST_TOKEN_BYTES, Open, Opened,
    kind::{MOST_DIGEST_BYTES, MOST_PEER_ID_BYTES},
};
use crate::{
    locality::{Locality, MOST_NAME_BYTES},
    record::{MOST_ADDRESSES, PeerRecord},
    topic::MOST_REGISTRY_BYTES,
};

impl Frame {
    /// Appends the frame to what is to be written, and gives what is to be written right after that without being copied. Where the
    /// frame can't be said nothing is appended.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<Option<Bytes>, InvalidFrame> {
        let start = out.len();
        let written = self.append(out, start);
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    fn append(&self, out: &mut Vec<u8>, start: usize) -> Result<Option<Bytes>, InvalidFrame> {
        out.extend_from_slice(&[0; HEAD_BYTES]);
        let mut body = Body { kind: self.kind(), out };
        let tail = body.put(self)?;
        let length = out.len() - start - HEAD_BYTES + tail.as_ref().map_or(0, Bytes::len);
        out[start..start + HEAD_BYTES].copy_from_slice(&Head::encode(self.kind(), length)?);
        Ok(tail)
    }
}

struct Body<'a> {
    kind: Kind,
    out: &'a mut Vec<u8>,
}

type Put = Result<(), InvalidFrame>;

impl Body<'_> {
    fn put(&mut self, frame: &Frame) -> Result<Option<Bytes>, InvalidFrame> {
        match frame {
            Frame::Hello(hello) => self.hello(hello)?,
            Frame::Open(open) => self.open(open)?,
            Frame::Opened(opened) => return self.opened(opened),
            Frame::Refused { id } | Frame::Close { id } => self.u32(id.0),
            Frame::Have { id, piece } | Frame::Ask { id, piece } | Frame::Cancel { id, piece } => {
                self.u32(id.0);
                self.u32(piece.0);
            }
            Frame::Rejected { id, piece, retry_after_ms } => {
                for number in [id.0, piece.0, *retry_after_ms] {
                    self.u32(number);
                }
            }
            Frame::Introduce { id, records } => {
                self.u32(id.0);
                self.count(records.len(), MOST_RECORDS, "records")?;
                records.iter().try_for_each(|record| self.record(record))?;
            }
            Frame::Ping | Frame::Pong => {}
            Frame::Bye { reason } => self.text(reason, MOST_REASON_BYTES, "reason")?,
        }
        Ok(None)
    }

    fn hello(&mut self, hello: &Hello) -> Put {
        if hello.version == 0 {
            return Err(self.malformed("version"));
        }
        self.out.extend_from_slice(&hello.version.to_le_bytes());
        self.locality(&hello.locality)?;
        self.addresses(&hello.addresses)?;
        self.out.push(hello.proof.is_some().into());
        self.out.extend_from_slice(hello.proof.as_ref().map_or(&[], <[u8; 32]>::as_slice));
        Ok(())
    }

    fn open(&mut self, open: &Open) -> Put {
        self.u32(open.id.0);
        self.text(&open.topic.registry, MOST_REGISTRY_BYTES, "registry")?;
        self.text(open.topic.repository.as_str(), RepositoryName::MAX_LENGTH, "repository")?;
        self.text(open.topic.digest.as_str(), MOST_DIGEST_BYTES, "digest")?;
        self.out.extend_from_slice(&[open.want_metainfo.into(), open.token.is_some().into()]);
        open.token.as_ref().map_or(Ok(()), |token| self.text(&token.0, MOST_TOKEN_BYTES, "token"))
    }

    fn opened(&mut self, opened: &Opened) -> Result<Option<Bytes>, InvalidFrame> {
        if opened.geometry.pieces() > MOST_PIECES {
            return Err(self.malformed("size"));
        }
        if opened.metainfo.as_ref().is_some_and(|metainfo| metainfo.len() > MOST_METAINFO_BYTES) {
            return Err(self.malformed("metainfo"));
        }
        let pieces = opened.pieces.to_bytes();
        // It has to be of this blob to be read there.
        if PieceSet::from_bytes(opened.geometry.pieces(), &pieces).is_none() {
            return Err(self.malformed("pieces"));
        }
        self.u32(opened.id.0);
        self.out.extend_from_slice(&opened.geometry.size_bytes().to_le_bytes());
        self.out.extend_from_slice(&pieces);
        self.out.push(opened.metainfo.is_some().into());
        Ok(opened.metainfo.clone())
    }

    fn record(&mut self, record: &PeerRecord) -> Put {
        let id = record.peer.to_bytes();
        self.count(id.len(), MOST_PEER_ID_BYTES, "peer")?;
        self.out.extend_from_slice(&id);
        self.addresses(&record.pieces)?;
        self.locality(&record.locality)
    }

    fn locality(&mut self, locality: &Locality) -> Put {
        let names = [&locality.region, &locality.zone, &locality.rack, &locality.host];
        names.into_iter().try_for_each(|name| self.text(name, MOST_NAME_BYTES, "locality"))
    }

    fn addresses(&mut self, addresses: &[SocketAddr]) -> Put {
        self.count(addresses.len(), MOST_ADDRESSES, "addresses")?;
        for address in addresses {
            match address.ip() {
                IpAddr::V4(ip) => {
                    self.out.push(4);
                    self.out.extend_from_slice(&ip.octets());
                }
                IpAddr::V6(ip) => {
                    self.out.push(6);
                    self.out.extend_from_slice(&ip.octets());
                }
            }
            self.out.extend_from_slice(&address.port().to_le_bytes());
        }
        Ok(())
    }

    fn count(&mut self, count: usize, most: usize, part: &'static str) -> Put {
        let count = u8::try_from(count).ok().filter(|count| usize::from(*count) <= most);
        self.out.push(count.ok_or_else(|| self.malformed(part))?);
        Ok(())
    }

    fn text(&mut self, text: &str, most_bytes: usize, part: &'static str) -> Put {
        let length = u16::try_from(text.len()).ok().filter(|length| usize::from(*length) <= most_bytes);
        let length = length.ok_or_else(|| self.malformed(part))?;
        self.out.extend_from_slice(&length.to_le_bytes());
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn u32(&mut self, number: u32) {
        self.out.extend_from_slice(&number.to_le_bytes());
    }

    fn malformed(&self, part: &'static str) -> InvalidFrame {
        InvalidFrame::Malformed { kind: self.kind, part }
    }
}
