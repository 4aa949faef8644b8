use std::io::{self, BufWriter, Write, stdout};

use clap::Args;
use jiff::Timestamp;
use longshore_client::{EdgePause, EdgePinOwner, EdgeStatus, EdgeUpstream};

use super::{
    connection::{EdgeConnection, told},
    time_left::TimeLeft,
};
use crate::{
    failure::Failure,
    output::{ByteCount, Format, NOTHING, Table, printable, write_json},
    percentages::percentages,
};

#[derive(Args)]
pub struct StatusArguments {
    #[command(flatten)]
    connection: EdgeConnection,
}

impl StatusArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let status = self.connection.quick_client()?.status().await.map_err(|error| told(&error))?;
        let mut out = BufWriter::new(stdout());
        match self.connection.output {
            Format::Json => write_json(&mut out, &status)?,
            Format::Table => write_status(&mut out, &status)?,
        }
        Ok(out.flush()?)
    }
}

/// Writes how things are, for people.
pub fn write_status(out: &mut impl Write, status: &EdgeStatus) -> io::Result<()> {
    let mut table = Table::new(["UPSTREAM", "HIT", "SAVED", "IN FLIGHT", "DISK", "PINNED"]);
    let now = Timestamp::now();
    table.write(out, rows(status, now))?;
    status.upstreams.iter().filter_map(supplied).try_for_each(|line| writeln!(out, "{}", printable(&line)))?;
    for upstream in &status.upstreams {
        upstream.pauses.iter().try_for_each(|pause| writeln!(out, "{}", paused(upstream, pause, now)))?;
    }
    Ok(())
}

/// A row an upstream; what is the whole edge's is in the first.
fn rows(status: &EdgeStatus, now: Timestamp) -> Vec<[String; 6]> {
    let pieces = match status.pieces_in_flight {
        1 => "1 piece".to_owned(),
        count => format!("{count} pieces"),
    };
    let owners: Vec<String> = status.pins.iter().map(|owner| pinned(owner, now)).collect();
    let pinned = if owners.is_empty() { NOTHING.to_owned() } else { owners.join(", ") };
    let mut shared = Some([pieces, of(status.disk.used_bytes, status.disk.quota_bytes), pinned]);
    let mut row = |upstream: &EdgeUpstream| {
        let [in_flight, disk, pinned] = shared.take().unwrap_or_default();
        let saved = upstream.served_bytes.saturating_sub(upstream.fetched_bytes);
        [upstream.name.clone(), hit(upstream), ByteCount(saved).to_string(), in_flight, disk, pinned]
    };
    status.upstreams.iter().map(&mut row).collect()
}

/// `127.0.0.1:5000: 3.6 MiB came: neighbours 97%, edge 0%, registry 3%`; nothing where all that came is from the upstream itself.
fn supplied(upstream: &EdgeUpstream) -> Option<String> {
    let EdgeUpstream { name, fetched_bytes, edge_bytes, neighbour_bytes, .. } = upstream;
    if edge_bytes + neighbour_bytes == 0 {
        return None;
    }
    let all = fetched_bytes.saturating_add(*neighbour_bytes);
    let [neighbours, edge, registry] = percentages([*neighbour_bytes, *edge_bytes, fetched_bytes.saturating_sub(*edge_bytes)]);
    Some(format!("{name}: {} came: neighbours {neighbours}, edge {edge}, registry {registry}", ByteCount(all)))
}

/// `127.0.0.1:5000 is left alone for 7 s: it can't be reached: connection refused`.
fn paused(upstream: &EdgeUpstream, pause: &EdgePause, now: Timestamp) -> String {
    let place = if pause.address == upstream.url { String::new() } else { format!(" at {}", pause.address) };
    let how_long = match pause.until {
        Some(end) => format!("for {} s", (end.as_second() - now.as_second()).max(1)),
        None => "until it is asked again".to_owned(),
    };
    printable(&format!("{}{place} is left alone {how_long}: {}", upstream.name, pause.reason))
}

/// How many of a hundred bytes cost no fetch of their own.
fn hit(upstream: &EdgeUpstream) -> String {
    if upstream.served_bytes == 0 {
        return NOTHING.to_owned();
    }
    let hundredths = u128::from(upstream.hit_bytes) * 100 / u128::from(upstream.served_bytes);
    format!("{hundredths}%")
}

/// `12.0 of 50.0 GiB`, or `3.0 MiB of 50.0 GiB`.
fn of(used_bytes: u64, quota_bytes: u64) -> String {
    let (used, quota) = (ByteCount(used_bytes).to_string(), ByteCount(quota_bytes).to_string());
    let unit = |text: &str| text.rsplit_once(' ').map(|(_, unit)| unit.to_owned());
    if unit(&used) == unit(&quota)
        && let Some((used, _)) = used.rsplit_once(' ')
    {
        return format!("{used} of {quota}");
    }
    format!("{used} of {quota}")
}

/// `2 images (prewarm: 6 d left)`, with how much of them is there where that is not all.
fn pinned(owner: &EdgePinOwner, now: Timestamp) -> String {
    let what = match (owner.images, owner.blobs) {
        (0, 1) => "1 blob".to_owned(),
        (0, blobs) => format!("{blobs} blobs"),
        (1, _) => "1 image".to_owned(),
        (images, _) => format!("{images} images"),
    };
    let left = owner.expires_at.map(|end| TimeLeft::at(now, end).to_string());
    let here = owner.present_bytes.filter(|present_bytes| *present_bytes < owner.size_bytes);
    let here = here.map(|present_bytes| format!("{} here", of(present_bytes, owner.size_bytes)));
    let more: Vec<String> = left.into_iter().chain(here).collect();
    let more = if more.is_empty() { String::new() } else { format!(": {}", more.join(", ")) };
    format!("{what} ({}{more})", owner.owner)
}

#[cfg(test)]
mod tests {
    use longshore_client::EdgeDisk;

    use super::*;

    fn upstream(name: &str, served_bytes: u64, hit_bytes: u64, fetched_bytes: u64) -> EdgeUpstream {
        let url = format!("http://{name}");
        EdgeUpstream {
            name: name.to_owned(),
            url,
            is_default: false,
            hosts: Vec::new(),
            path_prefix: None,
            served_bytes,
            hit_bytes,
            fetched_bytes,
            edge_bytes: 0,
            neighbour_bytes: 0,
            fetches: 1,
            wrong: 0,
            pauses: Vec::new(),
        }
    }

    #[test]
    fn says_which_upstream_is_left_alone_and_why() {
        let now: Timestamp = "2026-06-01T12:00:00Z".parse().expect("a time");
        let upstream = upstream("127.0.0.1:5000", 0, 0, 0);
        let reason = "it can't be reached: connection refused";
        let mut pause =
            EdgePause { address: upstream.url.clone(), reason: reason.to_owned(), until: "2026-06-01T12:00:07Z".parse().ok() };
        assert_eq!(paused(&upstream, &pause, now), format!("127.0.0.1:5000 is left alone for 7 s: {reason}"));
        (pause.address, pause.until) = ("http://127.0.0.2".to_owned(), None);
        let expected = format!("127.0.0.1:5000 at http://127.0.0.2 is left alone until it is asked again: {reason}");
        assert_eq!(paused(&upstream, &pause, now), expected);
    }

    #[test]
    fn says_who_sent_what_came() {
        let mut upstream = upstream("up", 9 << 20, 0, 1 << 20);
        assert_eq!(supplied(&upstream), None);
        (upstream.neighbour_bytes, upstream.edge_bytes) = (3 << 20, 1 << 19);
        assert_eq!(supplied(&upstream).as_deref(), Some("up: 4.0 MiB came: neighbours 75%, edge 13%, registry 12%"));
    }

    #[test]
    fn says_how_much_of_what_is_pinned_is_there() {
        let now = Timestamp::UNIX_EPOCH;
        let owner = EdgePinOwner {
            owner: "operator".to_owned(),
            images: 1,
            blobs: 9,
            size_bytes: 30 << 20,
            present_bytes: Some(3 << 20),
            expires_at: None,
        };
        assert_eq!(pinned(&owner, now), "1 image (operator: 3.0 of 30.0 MiB here)");
        let ends = EdgePinOwner { expires_at: "1970-01-01T00:00:09Z".parse().ok(), ..owner };
        assert_eq!(pinned(&ends, now), "1 image (operator: 9 s left, 3.0 of 30.0 MiB here)");
        let untold = EdgePinOwner { present_bytes: None, ..ends };
        assert_eq!(pinned(&untold, now), "1 image (operator: 9 s left)");
    }

    #[test]
    fn shows_what_each_upstream_was_spared_and_what_the_edge_keeps_once() {
        let now: Timestamp = "2026-06-01T12:00:00Z".parse().expect("a time");
        let owner = |owner: &str, images, end: Option<&str>| EdgePinOwner {
            owner: owner.to_owned(),
            images,
            blobs: 7,
            size_bytes: 1,
            present_bytes: Some(1),
            expires_at: end.map(|end| end.parse().expect("a time")),
        };
        let status = EdgeStatus {
            version: "1".to_owned(),
            started_at: now,
            upstreams: vec![upstream("127.0.0.1:5000", 100 << 30, 98 << 30, 59 << 30), upstream("docker.io", 0, 0, 5)],
            pieces_in_flight: 3,
            disk: EdgeDisk { used_bytes: 12 << 30, quota_bytes: 50 << 30, reserved_bytes: 0, pinned_bytes: 1, blobs: 9 },
            pins: vec![owner("prewarm", 2, Some("2026-06-08T11:00:00Z")), owner("operator", 0, None)],
        };
        let mut out = Vec::new();
        let mut table = Table::new(["UPSTREAM", "HIT", "SAVED", "IN FLIGHT", "DISK", "PINNED"]);
        table.write(&mut out, rows(&status, now)).expect("memory takes it");
        let lines = [
            "UPSTREAM        HIT  SAVED     IN FLIGHT  DISK              PINNED",
            "127.0.0.1:5000  98%  41.0 GiB  3 pieces   12.0 of 50.0 GiB  2 images (prewarm: 6 d left), 7 blobs (operator)",
            "docker.io       -    0 B",
        ];
        assert_eq!(String::from_utf8(out).expect("text"), lines.join("\n") + "\n");
        assert_eq!(of(3 << 20, 50 << 30), "3.0 MiB of 50.0 GiB");
    }
}
