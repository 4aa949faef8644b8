//! The orchestrator's scheduler beside kube-scheduler, on the same fleet, images and rollouts: pods a second, what nodes had to fetch, and
//! how evenly they are used.
//!
//! etcd, kube-apiserver and kube-scheduler are the real ones, over loopback, in turn with nothing beside them. Nodes are objects that
//! nobody runs: a pod that is bound is there at once, and its node reports the image from the next step of a rollout on, as kubelets do
//! within seconds. A pod has a `ReplicaSet` as owner, by which kube-scheduler spreads the pods of a revision over nodes and zones. No other
//! controller runs: which pods go follows from the orchestrator's arithmetic for both.

mod client;
mod control_plane;
mod objects;
mod placer;
mod report;
pub mod setting;
mod watch;

use std::{fs, path::PathBuf};

use clap::{Args, ValueEnum as _};
use serde::Serialize;

use crate::{
    error::BenchError,
    rollouts::{
        RolloutsOptions,
        curve::{Curve, Point},
        ledger::Measured,
        play::play,
        story::Story,
    },
};
use control_plane::Programs;
use placer::Kubernetes;
use setting::Setting;

/// Compares the scheduler with kube-scheduler.
#[derive(Clone, Debug, Args)]
pub struct KubernetesOptions {
    #[command(flatten)]
    rollouts: RolloutsOptions,
    /// How kube-scheduler is set, in turns
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Setting::value_variants().iter().copied())]
    settings: Vec<Setting>,
    /// Where etcd keeps its data meanwhile: a folder on a disk
    #[arg(long, value_name = "DIR", default_value = "bench/results")]
    disk: PathBuf,
}

/// What kube-scheduler came to.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Theirs {
    setting: Setting,
    /// How long it decided of each of the first pods, without what is written.
    decision_seconds: f64,
    #[serde(flatten)]
    measured: Measured,
}

/// All that was measured.
#[derive(Debug, Serialize)]
struct Compared {
    theirs: Vec<Theirs>,
    ours: Vec<Point>,
    goals: Vec<report::Goal>,
}

/// Plays the same rollouts with each, prints tables and writes the figures.
pub async fn kubernetes(options: &KubernetesOptions) -> Result<(), BenchError> {
    let programs = Programs::find()?;
    let story = Story::new(&options.rollouts);
    fs::create_dir_all(&options.disk).map_err(BenchError::io(format!("make {}", options.disk.display())))?;
    let mut theirs = Vec::new();
    for setting in &options.settings {
        let folder = tempfile::Builder::new().prefix("kubernetes-").tempdir_in(&options.disk);
        let folder = folder.map_err(BenchError::io(format!("make a folder in {}", options.disk.display())))?;
        let path = fs::canonicalize(folder.path()).map_err(BenchError::io("find a folder's whole path"))?;
        eprintln!("bench: kube-scheduler, {}, which takes minutes", setting.name());
        let (measured, placer) = play(&story, Kubernetes::start(&programs, &path, &story, *setting).await?).await?;
        report::tell(*setting, &measured);
        theirs.push(Theirs { setting: *setting, decision_seconds: placer.decision_seconds(), measured });
    }
    let curve = Curve::of(&story).await?;
    let compared = Compared { goals: report::goals(&theirs, &curve), theirs, ours: curve.points.clone() };
    report::report(&compared, &curve, &options.rollouts.results)
}
