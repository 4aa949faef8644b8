use std::io::{IsTerminal as _, Write as _, stderr};

use clap::Args;
use longshore_client::Terms;
use longshore_fleet::{Class, DeploymentSpec, Faults, Image, Labels, Selector, api::DeploymentView};
use longshore_service::config::Duration as Period;
use serde_json::{Map, Value, json};

use super::{
    connection::{FleetConnection, NamespaceArguments, told},
    output::{OutputArguments, print},
    waiting,
};
use crate::failure::Failure;

/// `longshore run`.
#[derive(Args)]
pub struct RunArguments {
    /// The image: `localhost:5000/hello:1`, `registry.example.org/team/app@sha256:…`
    #[arg(value_name = "IMAGE")]
    image: Image,
    /// What the deployment is called; without it, as the image is
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How many pods there are to be
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    replicas: u32,
    /// A variable of its environment: `KEY=VALUE`; can be given more than once
    #[arg(short, long, value_name = "KEY=VALUE")]
    env: Vec<String>,
    /// A port that it listens on, and perhaps that of its node before it: `8080`, `80:8080`, `53:53/udp`; can be given more than once
    #[arg(short, long, value_name = "[HOST:]PORT")]
    port: Vec<String>,
    /// Processor that each pod is promised: `500m`, `2`
    #[arg(long, value_name = "QUANTITY")]
    cpu: Option<String>,
    /// Memory that each pod is promised, and the most that it may take: `512Mi`, `2Gi`
    #[arg(long, value_name = "QUANTITY")]
    memory: Option<String>,
    /// Whether people wait for it, so that it goes first and is spread, or not, so that it is packed
    #[arg(long, value_name = "CLASS", default_value = "online", value_parser = ["online", "batch"])]
    class: String,
    /// Labels that a node must have: `disk=ssd,zone=a`
    #[arg(long, value_name = "KEY=VALUE,…")]
    node_selector: Option<Selector>,
    /// Wait until it is ready; that is so on a terminal where nothing is said
    #[arg(long, conflicts_with = "no_wait")]
    wait: bool,
    /// Return once it is asked for
    #[arg(long)]
    no_wait: bool,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    timeout: Period,
    /// What runs in place of the image's command; its entrypoint stays
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// Make nothing unless every pod of it has room now; fails with 6 where one has not
    #[arg(long)]
    if_fits: bool,
    #[command(flatten)]
    place: NamespaceArguments,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

impl RunArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let spec = self.spec()?;
        let terms = Terms { if_fits: self.if_fits, if_idle: false };
        let client = self.connection.client()?;
        let applied = client.create::<DeploymentView>(&spec, terms).await.map_err(|error| {
            let failure = told(&error);
            if failure.code() != Failure::CONFLICT {
                return failure;
            }
            let text = format!("{failure}; --name gives this one another, and `longshore apply` changes the one that there is");
            failure.with_text(text)
        })?;
        let id = applied.deployment_id.ok_or_else(|| Failure::Failed("the orchestrator does not say what it made".to_owned()))?;
        let waits = self.wait || (!self.no_wait && stderr().is_terminal());
        if !waits {
            let name = &spec.upkeep.name;
            return print(self.output.output, &applied, |out| {
                writeln!(out, "deployment/{name} created, revision {}", applied.revision)
            });
        }
        let deployment = waiting::until_available(&client, id, self.timeout).await?;
        print(self.output.output, &deployment, |out| writeln!(out, "{}", waiting::summary(&deployment)))
    }

    /// What it asks for.
    fn spec(&self) -> Result<DeploymentSpec, Failure> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => derived_name(&self.image)
                .ok_or_else(|| Failure::Usage(format!("{} makes no name for a deployment; --name gives it one", self.image)))?,
        };
        let class = if self.class == "batch" { Class::Batch } else { Class::Online };
        let mut document = json!({
            "namespace": self.place.namespace, "name": name, "image": self.image, "replicas": self.replicas, "class": class,
            "args": self.command,
            "env": self.env.iter().map(|text| variable(text)).collect::<Result<Vec<_>, _>>()?,
            "ports": self.port.iter().map(|text| port(text)).collect::<Result<Vec<_>, _>>()?,
            "nodeSelector": self.node_selector.as_ref().map(labels).transpose()?.unwrap_or_default(),
        });
        let amounts = [("cpu", self.cpu.clone()), ("memory", self.memory.clone())];
        let requests: Map<String, Value> =
            amounts.into_iter().filter_map(|(key, amount)| Some((key.to_owned(), amount?.into()))).collect();
        let limits: Map<String, Value> = self.memory.iter().map(|memory| ("memory".to_owned(), memory.clone().into())).collect();
        document["resources"] = json!({"requests": requests, "limits": limits});
        DeploymentSpec::read(document).map_err(|faults| Failure::Usage(flags(&faults)))
    }
}

/// What is wrong, by the flags that said it.
fn flags(faults: &Faults) -> String {
    let told = faults.iter().map(|fault| {
        let flag = match fault.field.split(['.', '[']).next().unwrap_or_default() {
            "name" => "--name",
            "replicas" => "--replicas",
            "env" => "--env",
            "ports" => "--port",
            "resources" if fault.field.ends_with("cpu") => "--cpu",
            "resources" => "--memory",
            "args" => "the command",
            _ => return fault.to_string(),
        };
        format!("{flag}: {}", fault.message)
    });
    told.collect::<Vec<_>>().join("\n  ")
}

/// A name of DNS from the last part of the repository's.
fn derived_name(image: &Image) -> Option<String> {
    let repository = image.repository.as_str();
    let last = repository.rsplit('/').next().unwrap_or(repository);
    let signs = last.chars().map(|sign| if sign.is_ascii_alphanumeric() { sign.to_ascii_lowercase() } else { '-' });
    let name: String = signs.take(63).collect();
    let name = name.trim_matches('-');
    (!name.is_empty()).then(|| name.to_owned())
}

fn variable(text: &str) -> Result<Value, Failure> {
    let (name, value) = text.split_once('=').ok_or_else(|| Failure::Usage(format!("--env: {text:?} has no form KEY=VALUE")))?;
    Ok(json!({"name": name, "value": value}))
}

fn port(text: &str) -> Result<Value, Failure> {
    let wrong = || Failure::Usage(format!("--port: {text:?} has no form [HOST:]PORT, with /tcp or /udp behind it"));
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" => "TCP",
        "udp" => "UDP",
        _ => return Err(wrong()),
    };
    let number = |text: &str| text.parse::<u16>().map_err(|_| wrong());
    Ok(match ports.split_once(':') {
        Some((host, inner)) => {
            json!({"containerPort": number(inner)?, "hostPort": number(host)?, "protocol": protocol})
        }
        None => json!({"containerPort": number(ports)?, "protocol": protocol}),
    })
}

/// A selector of labels and nothing else.
fn labels(selector: &Selector) -> Result<Labels, Failure> {
    let label = |demand: &longshore_fleet::Requirement| match demand.values.as_slice() {
        [value] if demand.operator == longshore_fleet::Operator::In => Ok((demand.key.clone(), value.clone())),
        _ => Err(Failure::Usage(format!(
            "--node-selector: `{demand}` has no form KEY=VALUE; `longshore apply` takes more in affinity"
        ))),
    };
    selector.0.iter().map(label).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        run: RunArguments,
    }

    fn spec(words: &str) -> Result<DeploymentSpec, String> {
        let words = std::iter::once("run").chain(words.split_whitespace());
        let program = Program::try_parse_from(words).map_err(|error| error.to_string())?;
        program.run.spec().map_err(|failure| failure.to_string())
    }

    #[test]
    fn the_image_gives_the_name() {
        for (image, name) in [
            ("localhost:5000/hello:1", "hello"),
            ("alpine", "alpine"),
            ("ghcr.io/org/My_App", ""),
            ("ghcr.io/org/my_app.v2@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "my-app-v2"),
        ] {
            let told = spec(image);
            assert_eq!(told.as_ref().map_or("", |spec| spec.upkeep.name.as_str()), name, "{image}: {told:?}");
        }
        let long = spec(&format!("localhost:5000/{}-x", "a".repeat(62))).expect("a deployment");
        assert_eq!(long.upkeep.name.as_str(), "a".repeat(62));
    }

    #[test]
    fn flags_become_fields() {
        let words = "localhost:5000/hello:1 --name web -n team --replicas 3 -e A=b=c --env D= -p 80:8080 -p 53/udp --cpu 500m --memory 1Gi \
                     --class batch --node-selector disk=ssd,zone=a -- serve --quick";
        let spec = spec(words).expect("a deployment");
        let value = serde_json::to_value(&spec).expect("JSON");
        assert_eq!((spec.upkeep.name.as_str(), spec.upkeep.namespace.as_str(), spec.upkeep.replicas), ("web", "team", 3));
        assert_eq!(value["env"], json!([{"name": "A", "value": "b=c"}, {"name": "D", "value": ""}]));
        let ports = json!([{"containerPort": 8080, "hostPort": 80, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]);
        assert_eq!(value["ports"], ports);
        assert_eq!(value["resources"], json!({"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}));
        assert_eq!((&value["nodeSelector"], &value["class"]), (&json!({"disk": "ssd", "zone": "a"}), &json!("batch")));
        assert_eq!((value["args"].clone(), spec.template.command.len()), (json!(["serve", "--quick"]), 0));
    }

    #[test]
    fn what_is_wrong_is_told_by_its_flag() {
        for (words, told) in [
            ("alpine --name A_b", "--name: a name has"),
            ("alpine -e A", "--env: \"A\" has no form KEY=VALUE"),
            ("alpine -e A=1 -e A=2", "--env: is A a second time"),
            ("alpine --cpu lots", "--cpu: a quantity"),
            ("alpine --memory 1Q", "--memory: a quantity"),
            ("alpine -p http", "--port: \"http\" has no form"),
            ("alpine -p 80/sctp", "--port: "),
            ("alpine -p 0", "--port: must be from 1"),
            ("alpine --node-selector gpu", "--node-selector: `gpu` has no form"),
            ("http://a/b", "without http://"),
            ("alpine --wait --no-wait", "cannot be used with"),
        ] {
            let error = spec(words).expect_err(words);
            assert!(error.contains(told), "{words}: {error}");
        }
    }
}
