//! How kube-scheduler is set.

use std::path::Path;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value, json};

/// A way to set it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// As it is when nothing is set
    Default,
    /// Images that a node has count ten times as much
    Images10,
    /// Pods must be on nodes of their own, of each workload's revision
    Apart,
    /// Full nodes are preferred, not empty ones
    Packing,
    /// The same, and images count ten times as much
    PackingImages10,
}

impl Setting {
    /// What it is called on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// How many pods of a workload's revision a node may have.
    pub(super) fn most_alike(self) -> Option<u32> {
        (self == Self::Apart).then_some(1)
    }

    /// Whether full nodes are preferred.
    pub(super) fn packs(self) -> bool {
        matches!(self, Self::Packing | Self::PackingImages10)
    }

    fn image_weight(self) -> u32 {
        if matches!(self, Self::Images10 | Self::PackingImages10) { 10 } else { 1 }
    }

    /// The scheduler's configuration.
    pub(super) fn configuration(self, kubeconfig: &Path, queries_per_second: u32) -> Value {
        let strategy = if self.packs() { "MostAllocated" } else { "LeastAllocated" };
        json!({
            "apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration",
            "leaderElection": {"leaderElect": false},
            "clientConnection": {"kubeconfig": kubeconfig, "qps": queries_per_second, "burst": queries_per_second},
            "profiles": [{
                "schedulerName": "default-scheduler",
                "plugins": {"score": {
                    "disabled": [{"name": "ImageLocality"}],
                    "enabled": [{"name": "ImageLocality", "weight": self.image_weight()}],
                }},
                "pluginConfig": [{"name": "NodeResourcesFit", "args": {"scoringStrategy": {
                    "type": strategy, "resources": [{"name": "cpu", "weight": 1}, {"name": "memory", "weight": 1}],
                }}}],
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_in_the_configuration() {
        let configuration = |setting: Setting| setting.configuration(Path::new("kubeconfig"), 5_000);
        let weight = |setting| configuration(setting)["profiles"][0]["plugins"]["score"]["enabled"][0]["weight"].clone();
        assert_eq!((weight(Setting::Default), weight(Setting::Images10)), (1.into(), 10.into()));
        let kind = |setting| {
            let fit = configuration(setting)["profiles"][0]["pluginConfig"][0]["args"].clone();
            fit["scoringStrategy"]["type"].clone()
        };
        assert_eq!((kind(Setting::Default), kind(Setting::Packing)), ("LeastAllocated".into(), "MostAllocated".into()));
        assert_eq!(Setting::PackingImages10.name(), "packing-images10");
    }
}
