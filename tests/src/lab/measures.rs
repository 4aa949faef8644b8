use std::{fmt, sync::Arc, time::Duration};

use super::{Lab, LabPlan, Links, Pulled};
use crate::Image;

/// A piece, in bytes.
const PIECE_BYTES: usize = 1 << 20;
/// A link's bytes in a second, for each of its Mbit/s.
const BYTES_PER_MBIT: f64 = 1e6 / 8.0;
/// What is received by pieces, from whomever.
const RECEIVED: &str = "longshore_swarm_received_bytes_total{";
/// What of it came from the registry.
const FROM_ORIGIN: &str = "longshore_swarm_received_bytes_total{from=\"origin\"}";

/// How a fleet did that pulled one image at once.
#[derive(Clone, Debug)]
pub struct Measures {
    /// How many nodes each zone had.
    pub zones: Vec<usize>,
    /// Whether they shared what they had.
    pub is_swarm: bool,
    /// No fleet can do it in less: the narrowest link that each byte has to cross, and the steps of a copy that doubles.
    pub bound: Duration,
    /// How long each pull took, the shortest first.
    pub times: Vec<Duration>,
    /// What the registry's link carried, headers included, in copies of the image.
    pub origin_copies: f64,
    /// What crossed the border, headers included, in copies a zone beyond it; none where there is one zone.
    pub border_copies: Option<f64>,
    /// What neighbours brought, of all that came by pieces.
    pub neighbour_share: f64,
    /// Processor time of a node meanwhile, in seconds: on the average, and the most.
    pub cpu_seconds: (f64, f64),
    /// The most memory that was resident at a node, in bytes.
    pub rss_bytes: u64,
}

impl Measures {
    /// What the columns are that it is printed in.
    pub const HEADER: &str = "zones          sharing  bound s  p50/bound  p99/bound  origin copies  border copies  neighbours  CPU s/node (most)  RSS MiB";

    /// How many times the bound the pull took that so many parts of all did not outlast.
    pub fn quantile(&self, part: f64) -> f64 {
        let rank = (part * self.times.len() as f64).ceil() as usize;
        self.times[rank.clamp(1, self.times.len()) - 1].as_secs_f64() / self.bound.as_secs_f64()
    }
}

impl fmt::Display for Measures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (average, most) = self.cpu_seconds;
        write!(
            formatter,
            "{:<13}  {:<7}  {:>7.2}  {:>9.2}  {:>9.2}  {:>13.2}  {:>13}  {:>9.0}%  {:>17}  {:>7}",
            format!("{:?}", self.zones),
            if self.is_swarm { "swarm" } else { "none" },
            self.bound.as_secs_f64(),
            self.quantile(0.5),
            self.quantile(0.99),
            self.origin_copies,
            self.border_copies.map_or("-".into(), |copies| format!("{copies:.2}")),
            self.neighbour_share * 100.0,
            format!("{average:.2} ({most:.2})"),
            self.rss_bytes >> 20,
        )
    }
}

impl Lab {
    /// Makes a lab, has all its nodes pull an image at once, and measures. Each pull has to end right, within a limit.
    pub async fn measured(plan: LabPlan<'_>, image: &Arc<Image>, limit: Duration) -> Measures {
        let lab = Self::new(plan).await;
        lab.push("v1", image).await;
        let (sent, crossed) = (lab.registry.machine.sent_bytes().await, lab.network.crossed_bytes().await);
        let before: Vec<f64> = lab.nodes.iter().map(|node| node.usage().cpu_seconds).collect();
        let pulled = Self::ended(lab.pull_everywhere("v1", image, limit)).await;
        let used: Vec<_> = lab.nodes.iter().map(super::LabDaemon::usage).collect();
        assert!(pulled.iter().all(Pulled::is_right), "{pulled:?}");
        let bytes = image.blobs.iter().map(bytes::Bytes::len).sum::<usize>() as f64;
        let copies = |sent: u64, before: u64| (sent - before) as f64 / bytes;
        let beyond = plan.zones.len() - 1;
        let cpu: Vec<f64> = used.iter().zip(&before).map(|(used, before)| used.cpu_seconds - before).collect();
        let mut times: Vec<Duration> = pulled.iter().map(|pulled| pulled.took).collect();
        times.sort();
        let (all, from_origin) = (lab.metric(RECEIVED).await, lab.metric(FROM_ORIGIN).await);
        Measures {
            zones: plan.zones.to_vec(),
            is_swarm: plan.is_swarm,
            bound: bound(plan.links, plan.zones, image),
            times,
            origin_copies: copies(lab.registry.machine.sent_bytes().await, sent),
            border_copies: (beyond > 0).then_some(copies(lab.network.crossed_bytes().await, crossed) / beyond.max(1) as f64),
            neighbour_share: if all > 0.0 { (all - from_origin) / all } else { 0.0 },
            cpu_seconds: (cpu.iter().sum::<f64>() / cpu.len() as f64, cpu.iter().copied().fold(0.0, f64::max)),
            rss_bytes: used.iter().map(|used| used.rss_bytes).max().unwrap_or_default(),
        }
    }
}

/// For N equal links of B bytes a second, and k pieces: `(F/B)(1 + ceil(log2 N)/k)`. A thin link that all of F has to cross counts in
/// place of B.
fn bound(links: Links, zones: &[usize], image: &Image) -> Duration {
    let mbit = if zones.len() > 1 { links.machine_mbit.min(links.border_mbit) } else { links.machine_mbit };
    let nodes: usize = zones.iter().sum();
    let bytes: usize = image.blobs.iter().map(bytes::Bytes::len).sum();
    let pieces: usize = image.blobs.iter().map(|blob| blob.len().div_ceil(PIECE_BYTES)).sum();
    let once = bytes as f64 / (f64::from(mbit) * BYTES_PER_MBIT);
    Duration::from_secs_f64(once * (1.0 + f64::from(nodes.next_power_of_two().ilog2()) / pieces as f64))
}
