use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str,
};

use libp2p_identity::PeerId;

use super::{InvalidFrame, Kind, MOST_RECORDS};
use crate::{
    locality::{Locality, MOST_NAME_BYTES},
    record::{MOST_ADDRESSES, PeerRecord},
};

/// The parts of a frame's body, taken one after another.
pub(super) struct Fields<'a> {
    kind: Kind,
    rest: &'a [u8],
}

type Taken<T> = Result<T, InvalidFrame>;

impl<'a> Fields<'a> {
    pub(super) fn of(kind: Kind, body: &'a [u8]) -> Self {
        Self { kind, rest: body }
    }

    pub(super) fn malformed(&self, part: &'static str) -> InvalidFrame {
        InvalidFrame::Malformed { kind: self.kind, part }
    }

    pub(super) fn bytes(&mut self, count: usize, part: &'static str) -> Taken<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.malformed(part))?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self, part: &'static str) -> Taken<[u8; N]> {
        let bytes = self.bytes(N, part)?;
        Ok(bytes.try_into().expect("so many were taken"))
    }

    pub(super) fn u16(&mut self, part: &'static str) -> Taken<u16> {
        self.array(part).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self, part: &'static str) -> Taken<u32> {
        self.array(part).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, part: &'static str) -> Taken<u64> {
        self.array(part).map(u64::from_le_bytes)
    }

    /// Whether something is, or follows.
    pub(super) fn flag(&mut self, part: &'static str) -> Taken<bool> {
        match self.array(part)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(self.malformed(part)),
        }
    }

    pub(super) fn text(&mut self, most_bytes: usize, part: &'static str) -> Taken<&'a str> {
        let length = usize::from(self.u16(part)?);
        if length > most_bytes {
            return Err(self.malformed(part));
        }
        let bytes = self.bytes(length, part)?;
        str::from_utf8(bytes).map_err(|_| self.malformed(part))
    }

    pub(super) fn locality(&mut self) -> Taken<Locality> {
        let mut name = || self.text(MOST_NAME_BYTES, "locality").map(str::to_owned);
        Ok(Locality { region: name()?, zone: name()?, rack: name()?, host: name()? })
    }

    pub(super) fn addresses(&mut self) -> Taken<Vec<SocketAddr>> {
        let count = self.count(MOST_ADDRESSES, "addresses")?;
        (0..count).map(|_| self.address()).collect()
    }

    pub(super) fn records(&mut self) -> Taken<Vec<PeerRecord>> {
        let count = self.count(MOST_RECORDS, "records")?;
        (0..count).map(|_| self.record()).collect()
    }

    /// All that has not been taken.
    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Taken<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.malformed("end")) }
    }

    fn count(&mut self, most: usize, part: &'static str) -> Taken<usize> {
        let [count] = self.array(part)?;
        Some(usize::from(count)).filter(|count| *count <= most).ok_or_else(|| self.malformed(part))
    }

    fn record(&mut self) -> Taken<PeerRecord> {
        let [length] = self.array("peer")?;
        let id = self.bytes(usize::from(length), "peer")?;
        let peer = PeerId::from_bytes(id).map_err(|_| self.malformed("peer"))?;
        Ok(PeerRecord { peer, pieces: self.addresses()?, locality: self.locality()? })
    }

    fn address(&mut self) -> Taken<SocketAddr> {
        let ip = match self.array("address")? {
            [4] => IpAddr::from(Ipv4Addr::from(self.array::<4>("address")?)),
            [6] => IpAddr::from(Ipv6Addr::from(self.array::<16>("address")?)),
            _ => return Err(self.malformed("address")),
        };
        Ok(SocketAddr::new(ip, self.u16("address")?))
    }
}
