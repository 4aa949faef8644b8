//! The connections on which pieces travel: TCP with TLS 1.3, both ends of which have proven their peer ids; there is no plain mode.
//!
//! An [`Endpoint`] is who one is here; [`Listener`] takes connections and [`dial`] makes them. A certificate proves a peer id as
//! libp2p's TLS has it (<https://github.com/libp2p/specs/blob/master/tls/tls.md>), by libp2p's own code. The configurations around it are
//! ours: libp2p's prefer ChaCha20-Poly1305, which takes about twice as long as AES does on a processor that knows AES. In a closed fleet
//! both ends besides prove, over a value of this very TLS session, that they have the fleet's key; who can't is cut without a word. What
//! anybody can learn is the peer id, which TLS shows to who connects.
//!
//! A [`Connection`] falls into three: a [`Sender`], which anyone may hold and which never waits but for a piece's turn; a [`Writer`],
//! to be run by a task of its own; and a [`Reader`], which says what happens. What a peer can make this end keep is bounded: the reader has
//! a fixed buffer, a piece is only received into memory that was set aside before it was asked for, a metainfo only where it was wanted and
//! there is room for it, and queues are full rather than long. A peer that breaks what [`wire`](crate::wire) says ends the connection.
//! Whether a piece is right is for whoever gets it to say, and how many topics a peer may have open here for whoever answers it.
//!
//! Each [`Event::Ask`] has one end, whatever is tried: what was cancelled, rejected or sent can't be answered again. Memory that was set
//! aside for a piece goes to [`Event::Piece`], or is free when the piece is rejected or cancelled, its topic closed or refused, or the
//! connection over; what the reader is just receiving, when it notices.
//!
//! | limit | what it does |
//! |---|---|
//! | `connect_timeout`, `handshake_timeout` | a peer that takes longer is given up |
//! | `most_handshakes` | over it who connects is closed at once |
//! | `most_handshakes_per_ip` | so is who connects from an address that has as many; a /64 of IPv6 counts as one |
//! | `most_accepted`, `most_dialed` | as `most_handshakes`, for connections; dialing fails |
//! | `most_accepted_per_ip` | as `most_handshakes_per_ip`, for connections from elsewhere than this machine |
//! | `most_accepted_per_peer` | one more ends the oldest: the peer has begun anew |
//! | `ping_after`, `dead_after` | a peer that says nothing is asked whether it is there, and taken for dead |
//! | `write_timeout` | a peer that takes nothing for longer is cut |
//! | `frame_timeout` | so is one that takes longer for one frame |
//! | `most_control_frames` | frames that wait; over it they are not taken |
//! | `most_pieces_queued` | pieces that wait to be written; over it who sends one waits |
//! | `most_topics`, `most_asked` | topics open at the peer and pieces asked of it at once |
//! | `most_owed` | pieces that the peer has asked for; more are rejected |
//! | `metainfo_bytes` | what all connections may take together for long frames in the middle of being read |
//! | `room_timeout` | a topic for whose answer there is no room for longer is given up |

mod asked;
mod connection;
mod counts;
mod dial;
mod endpoint;
mod error;
mod event;
mod fleet;
mod greeting;
mod guests;
mod identity;
mod limits;
mod link;
mod listener;
mod node_key;
mod owed;
mod reader;
mod sender;
#[cfg(test)]
mod tests;
mod traffic;
mod writer;

pub use connection::{Connection, Direction, Peer};
pub use counts::Counts;
pub use dial::{dial, dial_record};
pub use endpoint::Endpoint;
pub use error::{ConnectionError, DialError, EndpointError, SendError, Violation};
pub use event::{Event, Piece};
pub use fleet::{FleetKey, InvalidFleetKey};
pub use identity::cipher_suites;
pub use limits::Limits;
pub use listener::Listener;
pub use node_key::{NodeKey, NodeKeyError};
pub use owed::Sent;
pub use reader::Reader;
pub use sender::Sender;
pub use traffic::Traffic;
pub use writer::Writer;
