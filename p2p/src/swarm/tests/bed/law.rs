//! Who may have what.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use libp2p_identity::PeerId;

use super::PATIENCE;
use crate::{swarm::Rights, topic::Topic, wire::Token};

/// The fleet's rights: a token says whose it is, and holds while that peer is among those who may.
#[derive(Clone, Default)]
pub struct Law {
    forbidden: Arc<Mutex<Vec<PeerId>>>,
    /// Whether who gives tokens gives none now.
    pub is_down: Arc<AtomicBool>,
    pub holds_for: Arc<Mutex<Option<Duration>>>,
}

impl Law {
    pub fn forbid(&self, peer: PeerId) {
        self.forbidden.lock().unwrap().push(peer);
    }

    pub fn token(peer: PeerId) -> Token {
        Token(format!("for {peer}"))
    }
}

pub(super) struct Rule {
    pub(super) law: Law,
    pub(super) own: PeerId,
    pub(super) shows: Option<Shown>,
}

#[async_trait]
impl Rights for Rule {
    async fn token(&self, _: &Topic) -> Option<Token> {
        if self.law.is_down.load(Ordering::Relaxed) {
            return None;
        }
        self.shows.clone().map_or_else(|| Some(Law::token(self.own)), |shown| shown.0)
    }

    async fn may_announce(&self, topic: &Topic, peer: PeerId, token: Option<&Token>) -> bool {
        self.may_have(topic, peer, token).await.is_some()
    }

    async fn may_have(&self, _: &Topic, peer: PeerId, token: Option<&Token>) -> Option<Duration> {
        let is_forbidden = self.law.forbidden.lock().unwrap().contains(&peer);
        let holds_for = self.law.holds_for.lock().unwrap().unwrap_or(PATIENCE);
        (token == Some(&Law::token(peer)) && !is_forbidden).then_some(holds_for)
    }
}

/// What a node shows in place of its own token.
#[derive(Clone, Debug)]
pub struct Shown(pub Option<Token>);
