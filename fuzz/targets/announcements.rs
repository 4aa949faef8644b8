//! What a peer announces to a tracker, as CBOR: what is read is written and read again as the same, and what is split fits into messages and
//! has all of it. The input is read besides as the text of an address.
#![no_main]

use libfuzzer_sys::fuzz_target;
use longshore_p2p::{
    control::{Announce, ControlAddress, MOST_MESSAGE_BYTES, MOST_TOPICS, MOST_WITHDRAWN},
    record::MOST_ADDRESSES,
    topic::MOST_REGISTRY_BYTES,
    wire::MOST_TOKEN_BYTES,
};

fuzz_target!(|input: &[u8]| {
    if let Ok(address) = std::str::from_utf8(input).unwrap_or_default().parse::<ControlAddress>() {
        let again = address.to_string().parse::<ControlAddress>().expect("what was read can be read again");
        assert_eq!(again, address);
    }
    let Ok(announce) = cbor4ii::serde::from_slice::<Announce>(input) else { return };
    let again = cbor4ii::serde::from_slice::<Announce>(&written(&announce)).expect("what was written can be read");
    assert_eq!(again, announce);
    if is_small(&announce) {
        check_parts(announce);
    }
});

fn written(announce: &Announce) -> Vec<u8> {
    cbor4ii::serde::to_vec(Vec::new(), announce).expect("what was read can be written")
}

/// Whether each part of it is as large as a node's own may be.
fn is_small(announce: &Announce) -> bool {
    let names = &announce.record.locality;
    let are_short = announce.topics.iter().all(|announced| {
        let token_bytes = announced.token.as_ref().map_or(0, String::len);
        announced.topic.registry.len() <= MOST_REGISTRY_BYTES && token_bytes <= MOST_TOKEN_BYTES
    });
    are_short && announce.record.pieces.len() <= MOST_ADDRESSES && names.has_short_names()
}

fn check_parts(announce: Announce) {
    let (topics, withdraw) = (announce.topics.clone(), announce.withdraw.clone());
    let parts = announce.split();
    for part in &parts {
        assert!(part.topics.len() <= MOST_TOPICS && part.withdraw.len() <= MOST_WITHDRAWN);
        assert!(written(part).len() <= MOST_MESSAGE_BYTES, "a part is too long for a message");
    }
    assert_eq!(parts.iter().flat_map(|part| part.topics.clone()).collect::<Vec<_>>(), topics);
    assert_eq!(parts.iter().flat_map(|part| part.withdraw.clone()).collect::<Vec<_>>(), withdraw);
}
