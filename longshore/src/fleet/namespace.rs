//! `longshore namespace`: whose workloads are apart from whose.

use std::io::Write as _;

use clap::{Args, Subcommand};
use longshore_fleet::{NamespaceSpec, api::Code};
use serde_json::{Map, Value, json};

use super::{
    connection::{FleetConnection, told},
    find,
    output::{OutputArguments, print},
};
use crate::{exit_codes, failure::Failure};

/// What is done with namespaces.
#[derive(Subcommand)]
pub enum NamespaceVerb {
    /// Make a namespace; `longshore get namespaces`, `apply` and `delete namespace` do the rest
    #[command(after_help = exit_codes::FLEET)]
    Create(Box<CreateArguments>),
}

#[derive(Args)]
pub struct CreateArguments {
    /// What it is called
    name: String,
    /// The most processor that its pods may ask for, all together: `16`, `500m`
    #[arg(long, value_name = "QUANTITY")]
    quota_cpu: Option<String>,
    /// The most memory that they may ask for: `64Gi`
    #[arg(long, value_name = "QUANTITY")]
    quota_memory: Option<String>,
    /// How many pods there may be
    #[arg(long, value_name = "COUNT")]
    quota_pods: Option<u32>,
    /// Refuse containers that run as root
    #[arg(long)]
    no_root: bool,
    /// Let its pods have their node's own network
    #[arg(long)]
    allow_host_network: bool,
    /// Let its pods do all that root of their node may
    #[arg(long)]
    allow_privileged: bool,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

impl NamespaceVerb {
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run().await,
        }
    }
}

impl CreateArguments {
    async fn run(self) -> Result<(), Failure> {
        let spec = self.spec()?;
        let client = self.connection.client()?;
        client.put_namespace(&spec, None).await.map_err(|error| match error.code() {
            // It was not seen, and is there.
            Some(Code::PreconditionRequired | Code::WorkloadVersionConflict | Code::AlreadyExists) => {
                Failure::Conflict(format!("there is a namespace {} already; `longshore apply` changes it", spec.name))
            }
            _ => told(&error),
        })?;
        let made = client.namespace(&find::name(&self.name)?).await.map_err(|error| told(&error))?;
        print(self.output.output, &made, |out| writeln!(out, "namespace/{} created", made.spec.name))
    }

    fn spec(&self) -> Result<NamespaceSpec, Failure> {
        let amounts = [("cpu", self.quota_cpu.clone().map(Value::from)), ("memory", self.quota_memory.clone().map(Value::from))];
        let amounts = amounts.into_iter().chain([("pods", self.quota_pods.map(Value::from))]);
        let quota: Map<String, Value> = amounts.filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        let allow = json!({
            "root": !self.no_root, "hostNetwork": self.allow_host_network, "privileged": self.allow_privileged,
        });
        NamespaceSpec::read(json!({"name": self.name, "quota": quota, "allow": allow})).map_err(|faults| {
            let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Failure::Usage(told.join("\n  "))
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        create: CreateArguments,
    }

    #[test]
    fn flags_become_fields() {
        let words = "create team --quota-cpu 16 --quota-memory 64Gi --quota-pods 100 --no-root --allow-host-network";
        let spec = Program::parse_from(words.split(' ')).create.spec().expect("a namespace");
        let value = serde_json::to_value(spec).expect("JSON");
        assert_eq!(value["quota"], json!({"cpu": "16", "memory": "64Gi", "pods": 100}));
        assert_eq!(value["allow"], json!({"privileged": false, "hostNetwork": true, "root": false}));
        let failure = Program::parse_from(["create", "Team", "--quota-cpu", "x"]).create.spec().expect_err("two mistakes");
        let text = failure.to_string();
        assert!(text.contains("name: ") && text.contains("quota.cpu: "), "{text}");
    }
}
