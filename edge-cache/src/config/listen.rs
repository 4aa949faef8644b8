//! `[listen]`: what every daemon's has, and what is the edge's own.

use std::ops::{Deref, DerefMut};

use longshore_service::config::{self, Problems, Secret};

/// The least that the token may have, in characters: one that can't be guessed has as many.
const LEAST_TOKEN: usize = 20;

/// Where and how the edge listens.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// What every daemon's has.
    pub common: config::Listen,
    /// What whoever looks after the edge sends as `Authorization: Bearer …`, from its own machine too, 20 characters or more.
    /// Without one the edge is looked after from its own machine alone; a proxy there that does not say for whom it asks could be
    /// anybody, so behind one set it.
    pub admin_token: Secret,
}

impl Default for Listen {
    fn default() -> Self {
        Self { common: config::Listen::on(5100), admin_token: Secret::default() }
    }
}

longshore_service::settings!(Listen { ..common, admin_token });

impl Listen {
    /// Whether only this machine reaches it.
    pub fn is_on_loopback(&self) -> bool {
        self.common.address.ip().to_canonical().is_loopback()
    }

    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        self.common.check(problems);
        let token = self.admin_token.reveal();
        if !token.is_empty() && token.chars().count() < LEAST_TOKEN {
            problems.add(&["listen.admin_token"], format!("must have {LEAST_TOKEN} characters or more"));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            problems.add(&["listen.admin_token"], "must be made of letters, digits and signs of ASCII, without spaces");
        }
    }

    pub(super) fn check_files(&self, problems: &mut Problems<'_>) {
        self.common.check_files(problems);
        if self.admin_token.file().is_some() {
            // Its text was not there to be looked at before.
            if self.admin_token.reveal().is_empty() {
                problems.add(&["listen.admin_token"], "the file is empty");
            }
        }
    }
}

impl Deref for Listen {
    type Target = config::Listen;

    fn deref(&self) -> &config::Listen {
        &self.common
    }
}

impl DerefMut for Listen {
    fn deref_mut(&mut self) -> &mut config::Listen {
        &mut self.common
    }
}
