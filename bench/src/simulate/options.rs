//! The command line of `bench simulate`.

use std::path::PathBuf;

use clap::Args;

use super::{
    agenda::{MS, Nanos},
    shape::{Scenario, Shape},
};

/// Simulates swarms, and says what each came to.
#[derive(Clone, Debug, Args)]
pub struct SimulateOptions {
    /// How many nodes (comma-separated: a run each)
    #[arg(long, value_delimiter = ',', default_value = "100,1000", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub nodes: Vec<u32>,
    /// What befalls the swarm (comma-separated: a run each); all by default
    #[arg(long, value_enum, value_delimiter = ',')]
    pub scenario: Vec<Scenario>,
    /// Over how many zones (comma-separated: a run each)
    #[arg(long, value_delimiter = ',', default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub zones: Vec<u32>,
    /// From which all chance is drawn
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many layers the image has
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub layers: u8,
    /// How long each is
    #[arg(long, default_value_t = 32, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub layer_mib: u32,
    /// The rate of a node's link, up and down
    #[arg(long, default_value_t = 200, value_name = "MBIT", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub link_mbit: u64,
    /// The rate of the origin's link; by default a node's for each zone
    #[arg(long, value_name = "MBIT", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub origin_mbit: Option<u64>,
    /// How long the way within a zone takes, there and back
    #[arg(long, default_value_t = 0.2, value_name = "MS")]
    pub rtt_ms: f64,
    /// The same between zones, and to the origin; by default 2 ms where there is more than one zone
    #[arg(long, value_name = "MS")]
    pub far_rtt_ms: Option<f64>,
    /// How long a link's queue becomes
    #[arg(long, default_value_t = 50.0, value_name = "MS")]
    pub queue_ms: f64,
    /// How much a sender's socket takes before it is under way
    #[arg(long, default_value_t = 256, value_name = "KIB", value_parser = clap::value_parser!(u32).range(0..=65_536))]
    pub socket_kib: u32,
    /// How much of a connection is under way
    #[arg(long, default_value_t = 256, value_name = "KIB", value_parser = clap::value_parser!(u32).range(64..=65_536))]
    pub window_kib: u32,
    /// How long a node gathers what it hears before it decides
    #[arg(long, default_value_t = 0.2, value_name = "MS")]
    pub beat_ms: f64,
    /// How long a piece takes to be checked
    #[arg(long, default_value_t = 1.0, value_name = "MS")]
    pub check_ms: f64,
    /// How long a piece that was found right takes to be where others may read it
    #[arg(long, default_value_t = 2.0, value_name = "MS")]
    pub landing_ms: f64,
    /// How long it takes to find out who may have what
    #[arg(long, default_value_t = 0.2, value_name = "MS")]
    pub rights_ms: f64,
    /// How long the origin takes before it begins to answer
    #[arg(long, default_value_t = 2.0, value_name = "MS")]
    pub origin_ms: f64,
    /// Where the JSON and the charts go
    #[arg(long, value_name = "DIR", default_value = "bench/results")]
    pub results: PathBuf,
}

impl SimulateOptions {
    /// The runs, in order.
    pub fn shapes(&self) -> Vec<Shape> {
        let all = <Scenario as clap::ValueEnum>::value_variants();
        let scenarios = if self.scenario.is_empty() { all } else { &self.scenario };
        let mut shapes = Vec::new();
        for scenario in scenarios {
            for zones in &self.zones {
                shapes.extend(self.nodes.iter().map(|nodes| self.shape(*scenario, *nodes, *zones)));
            }
        }
        shapes
    }

    fn shape(&self, scenario: Scenario, nodes: u32, zones: u32) -> Shape {
        let usual = Shape::of(scenario, nodes, zones);
        let link_bits = self.link_mbit * 1_000_000;
        let mut transport = usual.transport;
        transport.queue = millis(self.queue_ms);
        (transport.socket_bytes, transport.window_bytes) = (self.socket_kib << 10, self.window_kib << 10);
        let far_rtt_ms = self.far_rtt_ms.unwrap_or(if zones > 1 { 2.0 } else { self.rtt_ms });
        Shape {
            seed: self.seed,
            layers: self.layers,
            pieces: self.layer_mib,
            link_bits,
            origin_bits: self.origin_mbit.map_or(link_bits * u64::from(zones), |mbit| mbit * 1_000_000),
            way: millis(self.rtt_ms / 2.0),
            far_way: millis(far_rtt_ms / 2.0),
            transport,
            beat: millis(self.beat_ms).max(1),
            check: millis(self.check_ms),
            landing: millis(self.landing_ms),
            rights: millis(self.rights_ms),
            origin_delay: millis(self.origin_ms),
            ..usual
        }
    }
}

/// What is below nothing, or no number, is nothing; an hour is the most.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "it is within an hour")]
fn millis(ms: f64) -> Nanos {
    (ms.clamp(0.0, 3_600_000.0) * MS as f64) as Nanos
}
