use std::net::SocketAddr;

use bytes::Bytes;
use libp2p_identity::PeerId;
use longshore_oci::{
    Algorithm, Digest,
    piece::{Geometry, PIECE_BYTES, PieceIndex, PieceSet},
};
use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::{
    locality::{Locality, MOST_NAME_BYTES},
    record::{MOST_ADDRESSES, PeerRecord},
    topic::{MOST_REGISTRY_BYTES, Topic},
};

fn locality() -> impl Strategy<Value = Locality> {
    let name = || "\\PC{0,30}";
    (name(), name(), name(), name()).prop_map(|(region, zone, rack, host)| Locality { region, zone, rack, host })
}

fn addresses() -> impl Strategy<Value = Vec<SocketAddr>> {
    let four = any::<([u8; 4], u16)>().prop_map(SocketAddr::from);
    let six = any::<([u8; 16], u16)>().prop_map(SocketAddr::from);
    vec(prop_oneof![four, six], 0..=MOST_ADDRESSES)
}

/// The id of a key that is too long to be one itself.
pub(crate) fn peer_id(hash: [u8; 32]) -> PeerId {
    PeerId::from_bytes(&[&[0x12, 32], hash.as_slice()].concat()).unwrap()
}

fn record() -> impl Strategy<Value = PeerRecord> {
    let parts = (any::<[u8; 32]>(), addresses(), locality());
    parts.prop_map(|(hash, pieces, locality)| PeerRecord { peer: peer_id(hash), pieces, locality })
}

fn topic() -> impl Strategy<Value = Topic> {
    ("[a-z.]{0,40}(:[0-9]{1,5})?", "[a-z0-9]{1,5}(/[a-z0-9]{1,5}){0,3}", any::<[u8; 9]>(), any::<bool>()).prop_map(
        |(registry, repository, content, is_long)| Topic {
            registry: registry.into(),
            repository: repository.parse().unwrap(),
            digest: Digest::of(if is_long { Algorithm::Sha512 } else { Algorithm::Sha256 }, &content),
        },
    )
}

fn opened() -> impl Strategy<Value = Frame> {
    let metainfo = option::of(vec(any::<u8>(), 0..2000).prop_map(Bytes::from));
    (any::<u32>(), 0..PIECE_BYTES * 300, vec(any::<u32>(), 0..50), metainfo).prop_map(|(id, size, there, metainfo)| {
        let geometry = Geometry::new(size).unwrap();
        let mut pieces = PieceSet::none_of(geometry.pieces());
        for piece in there {
            pieces.insert(PieceIndex(piece % 300));
        }
        Frame::Opened(Opened { id: TopicId(id), geometry, pieces, metainfo })
    })
}

fn frame() -> impl Strategy<Value = Frame> {
    let pair = || any::<(u32, u32)>().prop_map(|(id, piece)| (TopicId(id), PieceIndex(piece)));
    let hello = (1..=u16::MAX, locality(), addresses(), any::<Option<[u8; 32]>>());
    let open = (any::<u32>(), topic(), option::of("[!-~]{0,900}".prop_map(Token)), any::<bool>());
    prop_oneof![
        hello.prop_map(|(version, locality, addresses, proof)| Frame::Hello(Hello { version, locality, addresses, proof })),
        open.prop_map(|(id, topic, token, want_metainfo)| Frame::Open(Open { id: TopicId(id), topic, token, want_metainfo })),
        opened(),
        pair().prop_map(|(id, _)| Frame::Refused { id }),
        pair().prop_map(|(id, piece)| Frame::Have { id, piece }),
        pair().prop_map(|(id, piece)| Frame::Ask { id, piece }),
        pair().prop_map(|(id, piece)| Frame::Cancel { id, piece }),
        (pair(), any::<u32>()).prop_map(|((id, piece), retry_after_ms)| Frame::Rejected { id, piece, retry_after_ms }),
        pair().prop_map(|(id, _)| Frame::Close { id }),
        (pair(), vec(record(), 0..=MOST_RECORDS)).prop_map(|((id, _), records)| Frame::Introduce { id, records }),
        Just(Frame::Ping),
        Just(Frame::Pong),
        "\\PC{0,40}".prop_map(|reason| Frame::Bye { reason }),
    ]
}

/// A frame as it goes over a wire.
pub(crate) fn written(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    let tail = frame.encode(&mut bytes).unwrap();
    bytes.extend_from_slice(&tail.unwrap_or_default());
    bytes
}

/// Reads one frame that is all of the bytes.
fn read(bytes: &[u8]) -> Result<Frame, InvalidFrame> {
    let (head, body) = bytes.split_first_chunk().unwrap();
    match Head::decode(*head)? {
        Head::Known { kind, body_bytes } => {
            assert_eq!(body_bytes, body.len());
            let frame = Frame::decode(kind, body);
            assert_eq!(Frame::decode_shared(kind, &Bytes::copy_from_slice(body)), frame);
            frame
        }
        Head::Skipped { .. } => panic!("it is known"),
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(frame in frame()) {
        let bytes = written(&frame);
        prop_assert_eq!(read(&bytes), Ok(frame.clone()));
        prop_assert!(bytes.len() <= HEAD_BYTES + frame.kind().most_bytes());
    }

    #[test]
    fn what_is_cut_or_longer_is_no_frame(frame in frame(), cut in any::<prop::sample::Index>(), more in any::<u8>()) {
        let bytes = written(&frame);
        let body = &bytes[HEAD_BYTES..];
        let has_an_end = !matches!(&frame, Frame::Opened(Opened { metainfo: Some(_), .. }));
        prop_assume!(!body.is_empty());
        let cut = Frame::decode(frame.kind(), &body[..cut.index(body.len())]);
        let longer = Frame::decode(frame.kind(), &[body, &[more]].concat());
        if let Frame::Hello(_) = frame {
            prop_assert!(cut.is_err() && longer == Ok(frame), "a later version may say more in it");
        } else if has_an_end {
            prop_assert!(cut.is_err() && longer.is_err());
        } else {
            prop_assert!(cut.as_ref() != Ok(&frame) && longer.as_ref() != Ok(&frame));
        }
    }

    #[test]
    fn garbage_is_refused_or_means_one_thing(kind in 0..16_u8, body in vec(any::<u8>(), 0..300)) {
        check_garbage(kind, &body)?;
    }

    #[test]
    fn a_frame_that_was_changed_means_one_thing(frame in frame(), changes in vec(any::<(prop::sample::Index, u8)>(), 1..4)) {
        let mut bytes = written(&frame);
        bytes.drain(..HEAD_BYTES);
        for (place, change) in changes {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] ^= change;
            }
        }
        check_garbage(frame.kind() as u8, &bytes)?;
    }

    #[test]
    fn a_block_is_read_as_it_was_written(numbers in any::<[u32; 3]>(), length in 0..=2 * BLOCK_BYTES) {
        let [id, piece, offset_bytes] = numbers;
        let length_bytes = u32::try_from(length).unwrap();
        let block = BlockHead { id: TopicId(id), piece: PieceIndex(piece), offset_bytes, length_bytes };
        let encoded = block.encode();
        prop_assert_eq!(encoded.is_ok(), (1..=BLOCK_BYTES).contains(&length));
        let Ok(bytes) = encoded else { return Ok(()) };
        let (head, numbers) = bytes.split_first_chunk().unwrap();
        let body_bytes = BlockHead::BYTES + length;
        prop_assert_eq!(Head::decode(*head), Ok(Head::Known { kind: Kind::Block, body_bytes }));
        prop_assert_eq!(BlockHead::decode(numbers.try_into().unwrap(), body_bytes), Ok(block));
        prop_assert!(BlockHead::decode(numbers.try_into().unwrap(), BlockHead::BYTES).is_err());
    }
}

/// What bytes are read as is written as these bytes, but for what a later version has added to a greeting.
fn check_garbage(kind: u8, body: &[u8]) -> Result<(), TestCaseError> {
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    let bytes = [length.as_slice(), &[kind], body].concat();
    let frame = match Head::decode(*bytes.first_chunk().unwrap()) {
        Ok(Head::Known { kind, .. }) => Frame::decode(kind, body),
        Ok(Head::Skipped { .. }) => return Err(TestCaseError::fail("no such kind may be skipped")),
        Err(error) => Err(error),
    };
    if let Ok(frame) = frame {
        let again = written(&frame);
        let end = if frame.kind() == Kind::Hello { again.len() } else { bytes.len() };
        prop_assert_eq!(&again[HEAD_BYTES..], &bytes[HEAD_BYTES..end]);
    }
    Ok(())
}

#[test]
fn every_kind_has_its_limit() {
    for kind in Kind::ALL {
        let head = |body_bytes: usize| {
            let [a, b, c, d] = u32::try_from(body_bytes).unwrap().to_le_bytes();
            Head::decode([a, b, c, d, kind as u8])
        };
        let most = kind.most_bytes();
        assert_eq!(head(most), Ok(Head::Known { kind, body_bytes: most }));
        assert_eq!(head(most + 1), Err(InvalidFrame::TooLong { kind: Some(kind), bytes: most + 1, most }));
        assert!(kind.most_bytes_without_metainfo() <= 132 << 10, "{kind:?} may be long");
    }
}

#[test]
fn a_strange_frame_is_skipped_where_it_says_so() {
    assert_eq!(Head::decode([5, 0, 0, 0, 0x8f]), Ok(Head::Skipped { body_bytes: 5 }));
    assert_eq!(Head::decode([0, 0, 0, 0, 0x80]), Ok(Head::Skipped { body_bytes: 0 }));
    assert!(matches!(Head::decode([1, 0, 1, 0, 0x8f]), Err(InvalidFrame::TooLong { kind: None, .. })));
    for kind in [0, 15, 0x7f] {
        assert_eq!(Head::decode([0, 0, 0, 0, kind]), Err(InvalidFrame::UnknownKind(kind)));
    }
}

#[test]
fn a_frame_past_its_limits_is_not_said() {
    let id = TopicId(1);
    let record = PeerRecord { peer: peer_id([1; 32]), pieces: Vec::new(), locality: Locality::default() };
    let far = PeerRecord { pieces: vec![([1, 2, 3, 4], 5).into(); MOST_ADDRESSES + 1], ..record.clone() };
    let nowhere = Locality { rack: "x".repeat(MOST_NAME_BYTES + 1), ..Locality::default() };
    let topic = || Topic { registry: "r".into(), repository: "a".parse().unwrap(), digest: Digest::of(Algorithm::Sha256, b"") };
    let opened = |size: u64, pieces: u32, metainfo: Option<usize>| {
        let (geometry, metainfo) = (Geometry::new(size).unwrap(), metainfo.map(|length| Bytes::from(vec![0; length])));
        Frame::Opened(Opened { id, geometry, pieces: PieceSet::all_of(pieces), metainfo })
    };
    let token = Some(Token("t".repeat(MOST_TOKEN_BYTES + 1)));
    for frame in [
        Frame::Bye { reason: "x".repeat(MOST_REASON_BYTES + 1) },
        Frame::Introduce { id, records: vec![record.clone(); MOST_RECORDS + 1] },
        Frame::Introduce { id, records: vec![far] },
        Frame::Introduce { id, records: vec![PeerRecord { locality: nowhere, ..record }] },
        Frame::Open(Open { id, topic: topic(), token, want_metainfo: false }),
        Frame::Open(Open {
            id,
            topic: Topic { registry: "r".repeat(MOST_REGISTRY_BYTES + 1).into(), ..topic() },
            token: None,
            want_metainfo: false,
        }),
        Frame::Hello(Hello { version: 0, locality: Locality::default(), addresses: Vec::new(), proof: None }),
        opened(PIECE_BYTES, 1, Some(MOST_METAINFO_BYTES + 1)),
        opened(PIECE_BYTES, 65, None),
        opened(PIECE_BYTES, 2, None),
        opened((u64::from(MOST_PIECES) + 1) * PIECE_BYTES, MOST_PIECES + 1, None),
    ] {
        let mut out = b"before".to_vec();
        assert!(frame.encode(&mut out).is_err(), "{:?}", frame.kind());
        assert_eq!(out, b"before");
    }
    let largest = opened(u64::from(MOST_PIECES) * PIECE_BYTES, MOST_PIECES, Some(MOST_METAINFO_BYTES));
    let bytes = written(&largest);
    assert_eq!((bytes.len(), read(&bytes)), (HEAD_BYTES + Kind::Opened.most_bytes(), Ok(largest)));
}

#[test]
fn a_refusal_says_nothing_else() {
    assert_eq!(written(&Frame::Refused { id: TopicId(7) }), [4, 0, 0, 0, 4, 7, 0, 0, 0]);
}

#[test]
fn a_token_is_nothing_for_a_log() {
    let open = Open {
        id: TopicId(1),
        topic: Topic { registry: "r".into(), repository: "a".parse().unwrap(), digest: Digest::of(Algorithm::Sha256, b"") },
        token: Some(Token("secret".to_owned())),
        want_metainfo: false,
    };
    assert!(!format!("{open:?}").contains("secret"));
}

#[test]
fn the_longest_of_each_kind_is_said() {
    let [name, rack] = ["n", "r"].map(|letter| letter.repeat(MOST_NAME_BYTES));
    let locality = Locality { region: name.clone(), zone: name.clone(), rack, host: name };
    let addresses = vec![SocketAddr::from(([1_u8; 16], 9)); MOST_ADDRESSES];
    let repository = "a".repeat(longshore_oci::RepositoryName::MAX_LENGTH).parse().unwrap();
    let digest = Digest::of(Algorithm::Sha512, b"");
    let topic = Topic { registry: "r".repeat(MOST_REGISTRY_BYTES).into(), repository, digest };
    let token = Some(Token("t".repeat(MOST_TOKEN_BYTES)));
    let record = PeerRecord { peer: peer_id([1; 32]), pieces: addresses.clone(), locality: locality.clone() };
    for frame in [
        Frame::Hello(Hello { version: u16::MAX, locality, addresses, proof: Some([7; 32]) }),
        Frame::Open(Open { id: TopicId(1), topic, token, want_metainfo: true }),
        Frame::Introduce { id: TopicId(1), records: vec![record; MOST_RECORDS] },
        Frame::Bye { reason: "x".repeat(MOST_REASON_BYTES) },
    ] {
        assert_eq!(read(&written(&frame)), Ok(frame));
    }
}
