use jiff::Timestamp;
use longshore_fleet::api::JoinTokenView;

use super::{Column, Shown, always, wide};
use crate::edge::TimeLeft;

impl Shown for JoinTokenView {
    const COLUMNS: &'static [Column<Self>] = &[
        always("TOKEN", |token, _| format!("{}…", token.hint)),
        always("NODES LEFT", |token, _| token.uses_left.to_string()),
        always("EXPIRES", |token, now: Timestamp| TimeLeft::at(now, token.expires_at).to_string()),
        always("HASH", |token, _| token.hash.clone()),
        wide("UNTIL", |token, _| token.expires_at.to_string()),
    ];
}
