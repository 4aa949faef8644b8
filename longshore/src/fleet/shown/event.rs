use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use longshore_fleet::api::Event;

use super::{Column, Kind, Named, Shown, always, namespace, or_nothing, wide};

impl Shown for Event {
    const COLUMNS: &'static [Column<Self>] = &[
        always("TIME", |event, _| whole_second(event.at)),
        namespace(|event, _| or_nothing(event.namespace.as_ref())),
        // As wide as the longest of them: what comes later does not move what comes after.
        always("KIND      ", |event, _| Kind::of(event.kind).to_string()),
        always("NAME", |event, _| event.name.clone()),
        always("REASON", |event, _| event.reason.clone()),
        wide("BY", |event, _| or_nothing(event.author.as_ref())),
        wide("POSITION", |event, _| event.position.to_string()),
        wide("ID", |event, _| event.id.clone()),
        always("MESSAGE", |event, _| event.message.clone()),
    ];
}

impl Named for Event {
    const KIND: Kind = Kind::Event;
}

/// A time without what is finer than a second.
pub fn whole_second(at: Timestamp) -> String {
    let rounding = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Floor);
    at.round(rounding).unwrap_or(at).to_string()
}
